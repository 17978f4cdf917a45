"""The mesh from a file: read at the start, followed, and never lost to a broken edit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest

from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.state import MeshState
from mesh_py.process import mesh_source
from mesh_py.process.listening import StartError
from mesh_py.process.mesh_source import MeshPlace, MeshSource
from tests.support.processes import eventually
from tests.support.world import workload
from tests.support.ztunnel import Pod, mesh_yaml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ONE = mesh_yaml([Pod("one", "one", "10.0.0.1", "node-a")])
TWO = mesh_yaml([Pod("one", "one", "10.0.0.1", "node-a"), Pod("two", "two", "10.0.0.2", "node-a")])


def place(path: Path | None, text: str | None = None, *, is_followed: bool = True) -> MeshPlace:
    return MeshPlace(path, text, "cluster.local", is_followed)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mesh.yaml"
    path.write_text(ONE)
    return path


def edit(path: Path, text: str | None) -> None:
    """Write the file, or remove it."""
    if text is None:
        path.unlink()
    else:
        path.write_text(text)


@contextlib.asynccontextmanager
async def followed(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MeshState]:
    """The state that a file keeps up to date, looked at often."""
    monkeypatch.setattr(mesh_source, "LOOK_EVERY", 0.01)
    source, state = MeshSource.load(place(path)), MeshState()
    source.apply(state)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(source.follow(state))
        yield state
        following.cancel()


def names(state: MeshState) -> set[str]:
    return {workload.name for workload in state.workloads}


def test_a_text_is_read_as_a_file_is() -> None:
    source, state = MeshSource.load(place(None, ONE)), MeshState()
    source.apply(state)
    assert names(state) == {"one"}


async def test_what_others_have_brought_stays(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with followed(file, monkeypatch) as state:
        state.upsert_workload(workload("theirs"))
        edit(file, TWO)
        await eventually(lambda: names(state) == {"one", "two", "theirs"}, "the edit is taken over")
        edit(file, ONE)
        await eventually(lambda: names(state) == {"one", "theirs"}, "the edit is undone")


async def test_an_edit_takes_effect(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with followed(file, monkeypatch) as state:
        edit(file, TWO)
        await eventually(lambda: names(state) == {"one", "two"}, "the edit is taken over")


async def test_a_replaced_file_is_followed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As editors and mounted config maps do it."""
    async with followed(file, monkeypatch) as state:
        edit(file.with_suffix(".new"), TWO)
        file.with_suffix(".new").rename(file)
        await eventually(lambda: names(state) == {"one", "two"}, "the new file is taken over")


@pytest.mark.parametrize(
    ("broken", "reported"),
    [
        pytest.param("workloads: [", "mesh.yaml:", id="not YAML"),
        pytest.param("workload: []", "unknown key 'workload'", id="unknown key"),
        pytest.param(ONE.replace("10.0.0.1", "10.0.0"), "10.0.0", id="bad address"),
    ],
)
async def test_a_broken_edit_is_reported_and_changes_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str, reported: str
) -> None:
    caplog.set_level(logging.ERROR)
    async with followed(file, monkeypatch) as state:
        edit(file, broken)
        await eventually(lambda: "the last good state stays" in caplog.text, "reported")
        assert reported in caplog.text
        assert names(state) == {"one"}
        edit(file, TWO)
        await eventually(lambda: names(state) == {"one", "two"}, "the mended file is taken over")


async def test_a_file_that_is_being_written_is_left_alone(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty is a mesh, too; but nobody meant it."""
    stamps = iter([1, 2, 3, 4])
    seen: list[set[str]] = []
    async with followed(file, monkeypatch) as state:

        def look(_: Path) -> object:
            seen.append(names(state))
            return next(stamps, 5)

        monkeypatch.setattr(mesh_source, "stamp_of", look)
        edit(file, "")
        await eventually(lambda: len(seen) == 4, "looked at")
        edit(file, TWO)
        await eventually(lambda: names(state) == {"one", "two"}, "at rest, and taken over")
        assert seen[:4] == [{"one"}] * 4


async def test_a_file_that_is_gone_for_a_while(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with followed(file, monkeypatch) as state:
        edit(file, None)
        await eventually(lambda: True, "looked at")
        edit(file, TWO)
        await eventually(lambda: names(state) == {"one", "two"}, "it is back")


async def test_a_bug_of_ours_does_not_end_the_following(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with followed(file, monkeypatch) as state:
        with monkeypatch.context() as patch:
            patch.setattr(mesh_source, "_read", None)
            edit(file, TWO)
            await eventually(lambda: "unexpected error" in caplog.text, "reported")
        edit(file, TWO + "\n")
        await eventually(lambda: names(state) == {"one", "two"}, "the next edit is taken over")


async def test_a_file_that_is_not_to_be_followed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh_source, "LOOK_EVERY", 0.01)
    source = MeshSource.load(place(file, is_followed=False))
    await asyncio.wait_for(source.follow(MeshState()), 5)


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        pytest.param(None, StartError, "no such file or directory: check the path and its rights", id="missing"),
        pytest.param(b"\xff\xfe", StartError, "not UTF-8 text at byte 0: save it as UTF-8", id="not text"),
        pytest.param(b"workloads: 1", ConfigError, "mesh.yaml:1:", id="wrong"),
    ],
)
def test_what_cannot_be_read_stops_the_start(
    tmp_path: Path, content: bytes | None, error: type[Exception], text: str
) -> None:
    path = tmp_path / "mesh.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=text):
        MeshSource.load(place(path))
