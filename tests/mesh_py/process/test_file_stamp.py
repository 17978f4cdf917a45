"""Every way in which a file may become another shows in its stamp."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mesh_py.process.file_stamp import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def replace(file: Path) -> None:
    """By another of the same size and time, as a careful editor saves."""
    before = file.stat()
    other = file.with_name("other")
    other.write_text("ab")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda file: file.write_text("abc"), id="written"),
        pytest.param(replace, id="replaced"),
        pytest.param(lambda file: file.unlink(), id="removed"),
        pytest.param(lambda file: file.chmod(0o604), id="shown to others"),
    ],
)
def test_a_change_shows(change: Callable[[Path], None], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("ab")
    before = stamp_of(file)
    assert stamp_of(file) == before
    change(file)
    assert stamp_of(file) != before


def test_a_file_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert stamp_of(tmp_path / "file") is None
