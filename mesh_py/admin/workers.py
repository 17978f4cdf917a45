"""One view over several worker processes: their numbers add up, and what is set is set in all.

The parent serves the admin ports and asks; a worker answers about itself. A worker that does not answer in time is
counted as it last was, for a counter that shrinks looks to every reader like a restart.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from mesh_py.admin.config_dump import Json, merge_workload_states
from mesh_py.admin.profile import Profile, ProfileRequest
from mesh_py.admin.worker_link import WorkerLinkError, ask, serve_questions
from mesh_py.telemetry.snapshot import Snapshot, SnapshotError, decode_snapshot, encode_snapshot, merge, retire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

log = logging.getLogger("workers")

DEADLINE = 5.0
"""Seconds a worker has for an answer."""


@dataclass(frozen=True, slots=True)
class WorkerSurface:
    """What a worker lets its parent ask."""

    snapshot: Callable[[], Snapshot]
    """Its numbers now."""
    connections: Callable[[], dict[str, Json]]
    """Its part of the dump's `workloadState`."""
    pending: Callable[[], list[str]]
    """What it waits for before it is ready."""
    config_dump: Callable[[], Awaitable[Json]]
    """The whole dump, for the parts in which all workers are the same."""
    change_log_filter: Callable[[str, bool], str]
    """Clauses to add, and whether to start from the first filter: the filter now."""
    drain: Callable[[], None]
    """Begin to drain. The end is seen from the end of the process."""
    profile: Callable[[ProfileRequest], Awaitable[Profile]]


class _FilterChange(msgspec.Struct):
    clauses: str
    reset: bool


class _Sampling(msgspec.Struct):
    seconds: float
    frequency: int


def serve_worker(path: Path, surface: WorkerSurface) -> AbstractAsyncContextManager[None]:
    """Let the parent ask this process, on a UNIX socket at `path` in a folder of mode 0700."""
    encode = msgspec.msgpack.encode

    async def snapshot(_: bytes) -> bytes:
        return encode_snapshot(surface.snapshot())

    async def connections(_: bytes) -> bytes:
        return encode(surface.connections(), enc_hook=str)

    async def pending(_: bytes) -> bytes:
        return encode(surface.pending())

    async def config_dump(_: bytes) -> bytes:
        return encode(await surface.config_dump(), enc_hook=str)

    async def set_log_level(body: bytes) -> bytes:
        change = msgspec.msgpack.decode(body, type=_FilterChange)
        return surface.change_log_filter(change.clauses, change.reset).encode()

    async def drain(_: bytes) -> bytes:
        surface.drain()
        return b""

    async def profile(body: bytes) -> bytes:
        wanted = msgspec.msgpack.decode(body, type=_Sampling)
        return encode(await surface.profile(ProfileRequest(wanted.seconds, wanted.frequency)))

    questions = (snapshot, connections, pending, config_dump, set_log_level, drain, profile)
    return serve_questions(path, {question.__name__: question for question in questions})


class Workers:
    """The workers of this process, each known by the path of its socket."""

    def __init__(self, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._last: dict[Path, Snapshot | None] = {}
        self._retired = Snapshot([], [])

    def add(self, path: Path) -> None:
        """A worker has started."""
        self._last[path] = None

    def remove(self, path: Path) -> None:
        """A worker has ended: what it counted stays counted, and its connections are closed."""
        last = self._last.pop(path, None)
        if last is not None:
            self._retired = merge([self._retired, retire(last)])

    async def snapshot(self, own: Snapshot) -> Snapshot:
        """The numbers of all workers, past and present, and of this process."""
        for path, data in (await self._ask_all("snapshot")).items():
            try:
                self._remember(path, decode_snapshot(data))
            except SnapshotError as error:
                log.warning("worker %s: %s", path.name, error)
        known = [snapshot for snapshot in self._last.values() if snapshot is not None]
        return merge([own, self._retired, *known])

    async def config_dump(self) -> Json:
        """The dump of the first worker that answers, with the connections of all. Raises WorkerLinkError."""
        decode = msgspec.msgpack.decode
        states = [decode(data) for data in (await self._ask_all("connections")).values()]
        for path in self._last:
            try:
                dump: Json = decode(await ask(path, "config_dump", deadline=self._deadline))
            except WorkerLinkError as error:
                log.warning("worker %s", error)
                continue
            if "workloadState" in dump:
                dump["workloadState"] = dict(sorted(merge_workload_states(states).items()))
            return dump
        raise WorkerLinkError("no worker answers")

    async def change_log_filter(self, clauses: str, *, reset: bool) -> None:
        """Change the filter of all. The caller has read the clauses already: they are right."""
        await self._ask_all("set_log_level", msgspec.msgpack.encode(_FilterChange(clauses, reset)))

    async def drain(self) -> None:
        """Let all begin to drain."""
        await self._ask_all("drain")

    async def profile(self, request: ProfileRequest) -> Profile:
        """Sample all at once; each stack begins with its worker's name."""
        body = msgspec.msgpack.encode(_Sampling(request.seconds, request.frequency))
        answers = await self._ask_all("profile", body, extra=request.seconds)
        merged: Profile = {}
        for path, data in answers.items():
            for stack, cpu in msgspec.msgpack.decode(data, type=dict[tuple[str, ...], int]).items():
                merged[path.stem, *stack] = cpu
        return merged

    def _remember(self, path: Path, snapshot: Snapshot) -> None:
        if path in self._last:  # it may have ended meanwhile
            self._last[path] = snapshot

    async def _ask_all(self, kind: str, body: bytes = b"", extra: float = 0.0) -> dict[Path, bytes]:
        """The answers that came in time."""
        answers: dict[Path, bytes] = {}

        async def one(path: Path) -> None:
            try:
                answers[path] = await ask(path, kind, body, deadline=self._deadline + extra)
            except WorkerLinkError as error:
                log.warning("worker %s", error)

        async with asyncio.TaskGroup() as group:
            for path in list(self._last):
                group.create_task(one(path), name=f"ask {path.name}")
        return answers
