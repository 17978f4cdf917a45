"""What is wrong, in lines of standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.process.complaints import complain, read_text
from mesh_py.settings.source import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def test_each_line_is_a_complaint_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain("one\nother") == 2
    assert tuple(capsys.readouterr()) == ("", "error: one\nerror: other\n")


def test_a_file_is_read_as_utf_8(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes("ü".encode())
    assert read_text(tmp_path / "f") == "ü"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(None, "no such file or directory: check the path and its rights", id="missing"),
        pytest.param(b"a\xff", "not UTF-8 text at byte 1: save it as UTF-8", id="not text"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_name(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "f"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as failure:
        read_text(file)
    assert str(failure.value) == f"{file}: {complaint}"
