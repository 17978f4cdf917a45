"""Addresses of workloads that the mesh knows by name only (hbone-dataplane 2.5): asked for once, kept for a while.

The system's own resolver answers, both families together. Whoever waits for a name that is being looked up shares
the answer; how many names are looked up and kept is bounded, and so is the time.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.model.address import IpAddress, parse_ip

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.wheel import Timer

    Answers = tuple[IpAddress, ...]
    Found = Callable[[Answers | None], None]
    """Gets the addresses, none if the name has none, or None if the lookup failed."""
    Ask = Callable[[str], Awaitable[Answers]]
    """Raises OSError when the name cannot be looked up."""

log = logging.getLogger("dns")

DEADLINE = 5.0
"""Seconds a lookup may take."""
KEPT_SECONDS, KEPT_FAILURE_SECONDS = 5.0, 1.0
"""How long an answer serves: the system's resolver does not tell how long it may."""
KEPT_NAMES = 4096
MAX_LOOKUPS = 64
"""Names looked up at the same time; one more fails at once."""


class _Kept(NamedTuple):
    answers: Answers | None
    until: float


class _Lookup:
    """One name under way, and who waits for it."""

    __slots__ = ("task", "timer", "waiting")

    def __init__(self, timer: Timer) -> None:
        self.timer = timer
        self.waiting: list[Found] = []
        self.task: asyncio.Task[None]


class NameLookup:
    """Serves while `serve` runs; before and after that every lookup fails."""

    def __init__(self, reactor: Reactor, ask: Ask | None = None) -> None:
        self.ask = ask or ask_system
        self.now = reactor.loop.time
        self._reactor = reactor
        self._kept: dict[str, _Kept] = {}
        self._under_way: dict[str, _Lookup] = {}
        self._group: asyncio.TaskGroup | None = None

    async def serve(self) -> None:
        """Be the parent of all lookups until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await asyncio.Event().wait()
        finally:
            self._group = None
            for hostname in list(self._under_way):
                self._answer(hostname, None)

    def find(self, hostname: str, found: Found) -> None:
        """Call `found` with what `hostname` resolves to: at once if it is known, else within the deadline."""
        kept = self._kept.get(hostname)
        if kept is not None and self.now() < kept.until:
            found(kept.answers)
            return
        lookup = self._under_way.get(hostname) or self._begin(hostname)
        if lookup is None:
            found(None)
        else:
            lookup.waiting.append(found)

    def _begin(self, hostname: str) -> _Lookup | None:
        if self._group is None or len(self._under_way) >= MAX_LOOKUPS:
            log.warning("name %s is not looked up: %s", hostname, "too many are" if self._group else "we are ending")
            return None
        lookup = _Lookup(self._reactor.wheel.after(DEADLINE, lambda: self._too_late(hostname)))
        self._under_way[hostname] = lookup
        lookup.task = self._group.create_task(self._look_up(hostname), name=f"look up {hostname}")
        return lookup

    async def _look_up(self, hostname: str) -> None:
        answers: Answers | None = None
        try:
            answers = await self.ask(hostname)
        except OSError as error:
            log.warning("name %s cannot be looked up: %s", hostname, error.strerror or error)
        except Exception:  # the parent of all lookups must live on
            log.exception("! name %s: unexpected error", hostname)
        self._answer(hostname, answers)

    def _too_late(self, hostname: str) -> None:
        log.warning("name %s cannot be looked up: no answer within %g s", hostname, DEADLINE)
        self._under_way[hostname].task.cancel()
        self._answer(hostname, None)

    def _answer(self, hostname: str, answers: Answers | None) -> None:
        lookup = self._under_way.pop(hostname, None)
        if lookup is None:
            return
        lookup.timer.cancel()
        self._keep(hostname, answers)
        for found in lookup.waiting:
            found(answers)

    def _keep(self, hostname: str, answers: Answers | None) -> None:
        seconds = KEPT_FAILURE_SECONDS if answers is None else KEPT_SECONDS
        self._kept.pop(hostname, None)
        if len(self._kept) >= KEPT_NAMES:
            del self._kept[next(iter(self._kept))]  # the oldest
        self._kept[hostname] = _Kept(answers, self.now() + seconds)


async def ask_system(hostname: str) -> Answers:
    """A and AAAA by the system's resolver, in its order. Raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(hostname, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(0, f"{hostname!r} is no host name") from error
    except socket.gaierror as error:
        if error.errno == socket.EAI_NODATA:
            return ()
        raise
    return tuple(dict.fromkeys(parse_ip(str(address[0])) for *_, address in found))
