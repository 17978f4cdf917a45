"""Records of labs: a process is the same only if it started when it did."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab_py import state
from lab_py.errors import LabError, Unusable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for labs that is the test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return state.base_folder()


def record(keeper: int, started: int) -> state.Record:
    return state.Record("lab", "t", keeper, started, keeper, ("fabric", "pod"), rootless=False, seconds=1.0)


def own() -> state.Record:
    started = state.started_at(os.getpid())
    assert started is not None
    return record(os.getpid(), started)


def test_a_lab_that_is_up_is_found_and_cannot_be_claimed() -> None:
    folder = state.claim("lab")
    state.write_record(folder, own())
    assert state.find("lab") == (folder, own())
    with pytest.raises(Unusable, match="is up"):
        state.claim("lab")


def test_what_a_dead_lab_has_left_goes_away() -> None:
    folder = state.claim("lab")
    state.write_record(folder, record(os.getpid(), 1))  # the id is somebody else's by now
    (folder / "left").write_text("")
    with pytest.raises(Unusable, match="no lab called 'lab' is up"):
        state.find("lab")
    assert list(state.claim("lab").iterdir()) == []


def test_an_ended_lab_is_gone() -> None:
    keeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = state.started_at(keeper.pid)
    assert started is not None
    folder = state.claim("lab")
    state.write_record(folder, record(keeper.pid, started))
    state.end(*state.find("lab"))
    assert keeper.wait() == -9
    assert keeper.stdin is not None
    keeper.stdin.close()
    assert not folder.exists()
    assert state.started_at(keeper.pid) is None


def test_a_folder_that_others_can_enter_is_not_used(labs: Path) -> None:
    labs.chmod(0o755)
    with pytest.raises(LabError, match="not ours alone"):
        state.base_folder()


def test_processes_are_known_once_the_lab_is_up() -> None:
    folder = state.claim("lab")
    assert state.read_processes(folder) is None
    state.write_processes(folder, [{"name": "zt", "ended": None}])
    assert state.read_processes(folder) == [{"name": "zt", "ended": None}]
