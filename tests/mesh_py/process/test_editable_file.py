"""A file of ours that its user edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.process.editable_file import invitation, write_unless_edited

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mesh.yaml"


def original(file: Path) -> str:
    return file.with_name("mesh.yaml.original").read_text()


def test_what_nobody_edited_is_renewed(file: Path) -> None:
    for text in ("one", "one", "two"):
        assert not write_unless_edited(file, text)
        assert (file.read_text(), original(file)) == (text, text)


def test_an_edit_stays_and_ours_lies_beside_it(file: Path) -> None:
    write_unless_edited(file, "one")
    file.write_text("edited")
    for text in ("one", "two", "two"):
        assert write_unless_edited(file, text)
        assert (file.read_text(), original(file)) == ("edited", text)


@pytest.mark.parametrize("back", ["two", None], ids=["ours is put in place again", "it is removed"])
def test_an_edit_can_be_taken_back(file: Path, back: str | None) -> None:
    write_unless_edited(file, "one")
    file.write_text("edited")
    write_unless_edited(file, "two")
    file.unlink() if back is None else file.write_text(back)
    assert not write_unless_edited(file, "three")
    assert file.read_text() == "three"


@pytest.mark.parametrize("found", [b"somebody's", b"\xff\xfe"], ids=["text", "not even text"])
def test_a_file_that_we_never_wrote_is_somebody_s(file: Path, found: bytes) -> None:
    file.write_bytes(found)
    assert write_unless_edited(file, "one")
    assert file.read_bytes() == found


def test_a_banner_says_which_it_is(file: Path) -> None:
    assert invitation(file, "the proxies follow", is_edited=False) == f"{file}: edit it, the proxies follow"
    edited = f"{file}: as you edited it (mesh.yaml.original is ours); the proxies follow"
    assert invitation(file, "the proxies follow", is_edited=True) == edited
