"""A world that cannot be laid out; worlds at work are in the tests of the roles that have them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mesh_py.process.embedded import running_world
from mesh_py.process.listening import StartError

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping, Sequence

    from mesh_py.process.family import Member


class Nowhere:
    """A world without a process."""

    def members(self, files: str, environment: Mapping[str, str]) -> Sequence[Member]:
        return []


def no_room(world: Nowhere, folder: Path, now: datetime.datetime) -> str:
    raise OSError(28, "No space left on device", str(folder / "mesh.yaml"))


def in_place(world: Nowhere, folder: Path, now: datetime.datetime) -> str:
    (folder / "mesh.yaml").write_text("workloads: []")
    return str(folder)


async def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=rf"^{tmp_path}/mesh.yaml: no space left on device$"):
        async with running_world(Nowhere(), no_room, tmp_path, {}, print, prefix="x-"):
            pass


def test_a_folder_of_its_own_goes_away_with_it() -> None:
    async def folder() -> str:
        async with running_world(Nowhere(), in_place, None, {}, print, prefix="x-") as running:
            return running.files

    assert not Path(asyncio.run(folder())).exists()
