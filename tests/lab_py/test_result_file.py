"""Files that a run leaves."""

from __future__ import annotations

import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from lab_py.errors import LabError
from lab_py.result_file import ResultFile

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_private_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("longer than what follows")
    path.chmod(0o644)
    with closing(ResultFile(path, 0o600)) as file:
        assert path.read_text() == "longer than what follows", "until there is something to write"
        file.write(b"short")
    assert path.read_bytes() == b"short"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_run_that_fails_leaves_no_empty_file(tmp_path: Path) -> None:
    with closing(ResultFile(tmp_path / "file", 0o600)):
        assert (tmp_path / "file").exists()
    assert not (tmp_path / "file").exists()


def test_a_folder_that_is_not_there_is_told_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no/file: No such file or directory: name a file that you may write"):
        ResultFile(tmp_path / "no" / "file", 0o600)
