"""The keys of `jwksUri`: fetched when a RequestAuthentication names one, and again from time to time.

Requests never wait for a fetch. Until the first has come a set is empty, and tokens that need it are refused (401);
when one fails the last keys stay. Whoever is shown a token with a key that is not known asks for the next fetch sooner,
though never more often than `least` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesh_py.http.jwt_auth import BadKeySet, FetchedKeys, read_keys, uri_of
from mesh_py.proxy.key_fetch import Fetcher, FetchFailed, verifying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hbone_py.aio.tcp import SocketOptions
    from mesh_py.manifests.security import JwtRule
    from mesh_py.proxy.directory import Directory
    from mesh_py.settings.key_sets import KeySetSettings

log = logging.getLogger("policy")

MOST_SETS = 64
"""More are not fetched."""
_JITTER = 0.1
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 120.0
"""Seconds after a fetch that failed; each is twice the one before."""


@dataclass(eq=False, slots=True)
class _Set:
    """One address and what came of it."""

    uri: str
    timeout: float
    keys: FetchedKeys = field(default_factory=FetchedKeys)
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    problem: str = "not fetched yet"
    failures: int = 0
    """In a row."""
    task: asyncio.Task[None] | None = None


class KeySets:
    """All that the manifests name. `serve` is the parent of the fetching."""

    def __init__(
        self, settings: KeySetSettings, options: SocketOptions, directory: Directory, random: Callable[[], float]
    ) -> None:
        self._settings, self._options, self._directory, self._random = settings, options, directory, random
        self._sets: dict[str, _Set] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._fetcher: Fetcher | None = None
        self.fetches = 0
        """So far."""
        directory.watch(self._take)
        self._take()

    def of(self, rule: JwtRule) -> FetchedKeys:
        """Where a rule's keys are and will be."""
        found = self._sets.get(uri_of(rule))
        return FetchedKeys() if found is None else found.keys

    @property
    def problems(self) -> list[str]:
        """What is not as it should be now."""
        return [f"keys of jwksUri {one.uri}: {one.problem}" for one in self._sets.values() if one.problem]

    async def serve(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            self._start()
            await asyncio.get_running_loop().create_future()

    def _take(self) -> None:
        """The manifests have changed: what they name is fetched, what they name no more is forgotten."""
        wanted = dict(self._named())
        for uri in self._sets.keys() - wanted.keys():
            task = self._sets.pop(uri).task
            if task is not None:
                task.cancel()
        for uri, timeout in wanted.items():
            known = self._sets.get(uri)
            if known is not None:
                known.timeout = timeout
            elif len(self._sets) < MOST_SETS:
                self._sets[uri] = self._new(uri, timeout)
            else:
                log.warning("keys of jwksUri %s: not fetched, %d others are", uri, MOST_SETS)
        self._start()

    def _named(self) -> Iterator[tuple[str, float]]:
        for one in self._directory.further.manifests.request_authentications:
            for rule in one.jwt_rules:
                if uri := uri_of(rule):
                    yield uri, rule.timeout or self._settings.timeout

    def _new(self, uri: str, timeout: float) -> _Set:
        one = _Set(uri, timeout)
        one.keys.missed = one.wanted.set
        return one

    def _start(self) -> None:
        for one in self._sets.values() if self._tasks is not None else ():
            if one.task is None:
                assert self._tasks is not None
                one.task = self._tasks.create_task(self._keep(one), name=f"keys {one.uri}")

    async def _keep(self, one: _Set) -> None:
        """Fetch, and wait; again and again."""
        while True:
            pause = await self._fetch(one)
            one.wanted.clear()
            await asyncio.sleep(min(pause, self._settings.least))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(pause - self._settings.least, 0)):
                    await one.wanted.wait()

    async def _fetch(self, one: _Set) -> float:
        """Seconds to wait until the next."""
        self.fetches += 1
        try:
            one.keys.keys = read_keys(await self._by().fetch(one.uri, one.timeout))
        except (FetchFailed, BadKeySet, OSError, ssl.SSLError) as error:
            self._tell(one, str(error))
            one.failures += 1
            return min(_FIRST_PAUSE * 2.0 ** min(one.failures - 1, 16), _LONGEST_PAUSE) * self._spread()
        self._tell(one, "")
        one.failures = 0
        return self._settings.refresh * self._spread()

    def _by(self) -> Fetcher:
        if self._fetcher is None:
            ca = self._settings.root_ca
            self._fetcher = Fetcher(verifying(None if ca is None else str(ca)), self._options)
        return self._fetcher

    def _tell(self, one: _Set, problem: str) -> None:
        """Once for each thing that happens."""
        if problem and problem != one.problem:
            log.warning("keys of jwksUri %s: %s; %d keys are kept", one.uri, problem, len(one.keys.keys))
        elif not problem and one.problem:
            log.info("keys of jwksUri %s: %d fetched", one.uri, len(one.keys.keys))
        one.problem = problem

    def _spread(self) -> float:
        """Proxies that started together are not to ask together."""
        return 1 + _JITTER * (2 * self._random() - 1)

    def describe(self) -> list[dict[str, Any]]:
        """For people."""
        return [{"uri": one.uri, "keys": len(one.keys.keys), "problem": one.problem} for one in self._sets.values()]
