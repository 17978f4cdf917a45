"""A role's embedded world at work: its files laid out, its processes up as long as a context."""

from __future__ import annotations

import datetime
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from mesh_py.process.family import Family, Member, family, state_folder
from mesh_py.process.listening import StartError
from mesh_py.process.reason import reason_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

Files = TypeVar("Files")
Files_contra = TypeVar("Files_contra", contravariant=True)


_NET = re.compile(r"127\.(25[0-5]|2[0-4]\d|1?\d?\d)")


def net_problem(net: str, usual: str) -> str | None:
    """What is wrong with the first half of a world's addresses, or None; `usual` is an example that is right."""
    return None if _NET.fullmatch(net) else f"--world-net: {net!r} is not 127.N, such as {usual} or 127.77"


def application(name: str, address: tuple[str, int], called: str) -> Member:
    """httpbin as a world's process. `called` is what it says of itself at `/hostname`."""
    host, port = address
    arguments = ["-m", "lab_py.apps.httpbin", "--host", host, "--port", str(port), "--name", called]
    return Member(name, arguments, {}, (host, port, "/healthz"), [address], ends_last=True)


class Place(Protocol[Files_contra]):
    """A world as data: where everything stands."""

    def members(self, files: Files_contra, environment: Mapping[str, str]) -> Sequence[Member]:
        """Every process, those that others need first."""


World = TypeVar("World", bound=Place)  # type: ignore[type-arg]


@dataclass(slots=True)
class Running(Generic[World, Files]):
    """A world that is up."""

    world: World
    files: Files
    family: Family


@asynccontextmanager
async def running_world(
    world: World,
    lay_out: Callable[[World, Path, datetime.datetime], Files],
    state_dir: Path | None,
    environment: Mapping[str, str],
    heard: Callable[[str, str], None],
    *,
    prefix: str,
) -> AsyncIterator[Running[World, Files]]:
    """Start a world and end it with the context. Raises StartError, KeyboardInterrupt, as `family`.

    Args:
        lay_out: writes its files into a folder. May raise OSError.
        state_dir: where they go; None: a folder named by `prefix`, that goes away in the end.
        environment: what the proxies are told beside their place in the world.
        heard: gets each line the processes write.
    """
    with state_folder(state_dir, prefix) as folder:
        try:
            files = lay_out(world, folder, datetime.datetime.now(datetime.UTC))
        except OSError as error:
            raise StartError(f"{error.filename or folder}: {reason_of(error)}") from None
        members = world.members(files, environment)
        async with family(members, heard, "take other addresses with --world-net 127.77") as found:
            yield Running(world, files, found)
