"""A family of processes: started together, awaited until all are ready, ended together."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_py.process.children import Child, start_child
from mesh_py.process.listening import StartError
from mesh_py.process.port_holder import why_not
from mesh_py.process.reason import reason_of
from mesh_py.process.signals import stop_signals
from mesh_py.process.waiting import any_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from mesh_py.process.console import Console

READY_SECONDS = 30.0
"""How long a family may take to come up."""
END_SECONDS = 20.0
"""How long after SIGTERM a child is killed; drains end long before."""
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Member:
    """One process: `python` with arguments and an environment."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    ready: tuple[str, int, str]
    """Address, port and path that answer 200 once it is ready."""
    listens: Sequence[tuple[str, int]] = ()
    """Addresses that must be free before anything is started."""
    ends_last: bool = False
    """Others may need it while they end."""


@dataclass(slots=True)
class Family:
    """A family that is up."""

    members: Sequence[Member]
    seconds: float = 0.0
    """What it took to come up."""
    children: list[Child] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a process has ended."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first SIGTERM or SIGINT."""
    now: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the second."""

    async def listen_to(self, child: Child) -> None:
        """Hand on what a process writes, and remember its end."""
        await child.ended()
        self.ended.set()

    async def serve_until_told(self, console: Console) -> int:
        """Wait for a signal, or for a process that ends by itself; the exit status."""
        await any_of(self.stop, self.ended)
        if self.stop.is_set():
            console.say("ending: connections may finish; the same again ends at once")
            return 0
        ended = next(child for child in self.children if child.status is not None)
        console.say(f"{ended.name} has ended with status {ended.status}, and with it the world")
        return 0 if ended.status == 0 else 1


@contextmanager
def state_folder(chosen: Path | None, prefix: str) -> Iterator[Path]:
    """The chosen folder, made if need be; else one that goes away in the end. Raises StartError."""
    if chosen is None:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"--state-dir: {chosen}: {reason_of(error)}") from None
    yield chosen.resolve()


@asynccontextmanager
async def family(members: Sequence[Member], heard: Callable[[str, str], None], advice: str) -> AsyncIterator[Family]:
    """Start them in order; when the context is left, end them: orderly, or at once on a second signal.

    Args:
        heard: gets a member's name and each line it writes.
        advice: what to do where a port is taken.

    Raises:
        StartError: a port is taken, or a process did not come up; nothing is left running.
        KeyboardInterrupt: a signal came before all were up.
    """
    _refuse_taken_ports(members, advice)
    found = Family(members)
    try:
        with stop_signals(found.stop, found.now):
            async with asyncio.TaskGroup() as group:
                try:
                    await _start(found, group, heard)
                    yield found
                finally:
                    await _end(found)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _refuse_taken_ports(members: Sequence[Member], advice: str) -> None:
    for member in members:
        for address, port in member.listens:
            if (problem := why_not(address, port)) is not None:
                raise StartError(f"{problem}; end it, or {advice}")


async def _start(found: Family, group: asyncio.TaskGroup, heard: Callable[[str, str], None]) -> None:
    begin = time.monotonic()
    for member in found.members:
        child = await start_child(member.name, member.arguments, member.environment, heard)
        found.children.append(child)
        group.create_task(found.listen_to(child), name=f"listen to {member.name}")
    await _until_ready(found)
    found.seconds = time.monotonic() - begin


async def _until_ready(found: Family) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            for member in found.members:
                while not await _answers_ok(*member.ready):
                    _raise_if_over(found)
                    await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        said = "; ".join(f"{child.name} said last: {child.last_line or 'nothing'}" for child in found.children)
        raise StartError(f"the world is not ready after {READY_SECONDS:.0f} s: {said}") from None


def _raise_if_over(found: Family) -> None:
    if found.stop.is_set():
        raise KeyboardInterrupt
    for child in found.children:
        if child.status is not None:
            reason = child.last_line.removeprefix("error: ")
            raise StartError(f"{child.name} ended with status {child.status}: {reason or 'it said nothing'}")


async def _answers_ok(host: str, port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


async def _end(found: Family) -> None:
    """What others lead to goes last. Whoever does not end is killed."""
    last = {member.name for member in found.members if member.ends_last}
    for is_last in (False, True):
        group = [child for child in found.children if (child.name in last) is is_last]
        for child in group:
            child.signal(signal.SIGTERM)
        await _ended(group, found.now)


async def _ended(children: list[Child], now: asyncio.Event) -> None:
    """Wait for them, patiently; a second signal from the user is passed on."""
    try:
        async with asyncio.timeout(END_SECONDS):
            was_told = False
            while any(child.status is None for child in children):
                if now.is_set() and not was_told:
                    was_told = True
                    for child in children:
                        child.signal(signal.SIGTERM)
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        for child in children:
            child.signal(signal.SIGKILL)
