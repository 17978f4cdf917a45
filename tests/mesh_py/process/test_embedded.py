"""What worlds have in common, and one that cannot be laid out; those at work are in the tests of their roles."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mesh_py.process.embedded import application, net_problem, running_world
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


@pytest.mark.parametrize(
    ("net", "is_right"),
    [
        *((net, True) for net in ("127.0", "127.77", "127.199", "127.255")),
        *((net, False) for net in ("10.0", "127", "127.256", "127.0.0", "127.x", "127.077", "")),
    ],
)
def test_a_world_lives_on_127_n(net: str, is_right: bool) -> None:
    problem = f"--world-net: {net!r} is not 127.N, such as 127.1 or 127.77"
    assert net_problem(net, "127.1") == (None if is_right else problem)


def test_its_application_is_known_to_be_up_by_asking() -> None:
    member = application("web-app", ("127.1.2.3", 8080), "web")
    assert member.arguments[-2:] == ["--name", "web"]
    assert (member.ready, member.listens) == (("127.1.2.3", 8080, "/healthz"), [("127.1.2.3", 8080)])
    assert member.ends_last
