"""Files that appear whole, private from the first moment, and never in place of another unasked."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from mesh_py.identity.key_files import PRIVATE, PUBLIC, is_private, locked, write_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
@pytest.mark.parametrize("mode", [PRIVATE, PUBLIC])
def test_the_mode_is_there_before_the_first_byte(mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []

    def spying_fdopen(descriptor: int, how: str):
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real_fdopen(descriptor, how)

    real_fdopen = os.fdopen
    monkeypatch.setattr(os, "fdopen", spying_fdopen)
    write_file(tmp_path / "f", b"secret", mode)
    assert modes == [mode]
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_file(file, b"old")
    with pytest.raises(FileExistsError):
        write_file(file, b"new")
    assert (file.read_bytes(), os.listdir(tmp_path)) == (b"old", ["f"])


def test_replacing_has_to_be_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"old")
    file.chmod(0o644)
    write_file(file, b"new", PRIVATE, replace=True)
    assert (file.read_bytes(), is_private(file)) == (b"new", True)


def test_a_link_is_not_followed_to_somebody_elses_file(tmp_path: Path) -> None:
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "f"
    elsewhere.write_bytes(b"precious")
    link.symlink_to(elsewhere)
    write_file(link, b"new", replace=True)
    assert (elsewhere.read_bytes(), link.is_symlink()) == (b"precious", False)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_file(tmp_path / "f", b"x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("mode", "private"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_private_means_the_owner_alone(mode: int, private: bool, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.touch()
    file.chmod(mode)
    assert is_private(file) is private


def test_a_lock_ends_with_its_block(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    with locked(tmp_path):
        assert os.listdir(tmp_path) == []
