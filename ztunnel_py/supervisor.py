"""`--workers N`: N processes on the same ports, and one parent that keeps them running and speaks for them.

The kernel spreads new connections over the workers (SO_REUSEPORT). A worker that dies takes only its own connections
with it and is started again, each time a little later if it does not live long. The parent carries no traffic: it has
the admin, metrics and readiness ports, and asks the workers (`mesh_py.admin.workers`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mesh_py.admin.readiness import Readiness
from mesh_py.admin.worker_link import WorkerLinkError, ask
from mesh_py.admin.workers import Workers
from mesh_py.process.children import WORKER_SOCKET, Child, start_child, worker_socket
from mesh_py.process.listening import bind_all
from mesh_py.process.signals import stop_signals
from mesh_py.process.waiting import any_of
from mesh_py.telemetry.log_sink import LogSink
from mesh_py.telemetry.logs import Logs
from mesh_py.telemetry.snapshot import Snapshot
from ztunnel_py.listening import surface_addresses
from ztunnel_py.supervisor_surfaces import SupervisorSurfaces

if TYPE_CHECKING:
    from ztunnel_py.config import Settings

log = logging.getLogger("workers")

UP_SECONDS = 20.0
"""How long a worker may take to answer its parent."""
KILL_AFTER = 5.0
"""Seconds a worker may take to end beyond the deadline of its drain."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
STEADY_SECONDS = 10.0
"""A worker that lived so long is started again with the first pause."""
_LOOK_SECONDS = 0.02
_READY_LOOK_SECONDS = 0.1
_SNAPSHOT_SECONDS = 5.0
"""How often the numbers of all are taken, so that a worker's death loses few."""


def pause_before(restarts: int) -> float:
    """Seconds to wait before a worker is started again, after so many restarts in a row."""
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(restarts, 16)))


async def supervise(settings: Settings) -> int:
    """Run the workers until told to stop; the exit status.

    Raises:
        StartError: a port cannot be had, or the first worker did not come up; nothing is left running.
    """
    stop, now = asyncio.Event(), asyncio.Event()
    sink = LogSink(1)
    logs = Logs(sink, filter=settings.log_filter, json=settings.log_json)
    surface_sockets = bind_all(surface_addresses(settings))
    folder = Path(tempfile.mkdtemp(prefix="hbone-workers-"))  # mode 0700: that is the lock of what is in it
    supervisor = Supervisor(settings, folder, stop, now, logs)
    logs.install()
    sink.attach(asyncio.get_running_loop())
    try:
        with stop_signals(stop, now):
            async with contextlib.AsyncExitStack() as stack:
                surfaces = SupervisorSurfaces(settings, supervisor.workers, logs, supervisor.readiness, stop)
                await surfaces.serve(stack, surface_sockets)
                status = await supervisor.run()
                surfaces.drained.set()
                return status
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sink.close()
        logs.uninstall()


class Supervisor:
    """Starts the workers, starts again those that die, and ends them all."""

    def __init__(self, settings: Settings, folder: Path, stop: asyncio.Event, now: asyncio.Event, logs: Logs) -> None:
        self.workers = Workers()
        self.readiness = Readiness("workers")
        self._settings, self._folder, self._stop, self._now, self._logs = settings, folder, stop, now, logs
        self._running: dict[Path, Child] = {}
        self._up: set[Path] = set()
        self._first_settled = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """All workers, from the first start to the last end; the exit status."""
        async with asyncio.TaskGroup() as group:
            # The first alone: what is wrong with the configuration is then said once.
            group.create_task(self._keep(0), name="worker 0")
            await any_of(self._first_settled, self._stop)
            if not self._stop.is_set():
                for number in range(1, self._settings.workers):
                    group.create_task(self._keep(number), name=f"worker {number}")
            counting = group.create_task(self._count())
            await self._stop.wait()
            counting.cancel()
            await self._end_all()
        return self._status

    async def _keep(self, number: int) -> None:
        """One worker after another under one number, until we are told to stop."""
        lives = restarts = 0
        while not self._stop.is_set():
            begin = time.monotonic()
            status = await self._live(worker_socket(self._folder, number, lives))
            if self._stop.is_set():
                return
            if not self._first_settled.is_set():
                # Its own words are on standard error.
                self._status = status if status > 0 else 2
                self._stop.set()
                return
            lives += 1
            restarts = 0 if time.monotonic() - begin > STEADY_SECONDS else restarts
            pause = pause_before(restarts)
            restarts += 1
            log.error(
                "worker %d ended with status %d, and its connections with it; again in %g s", number, status, pause
            )
            await any_of(self._stop, seconds=pause)

    async def _live(self, path: Path) -> int:
        """One worker, from its start to its end; its status."""
        child = await start_child(
            path.name, ["-m", "ztunnel_py", *sys.argv[1:]], {**os.environ, WORKER_SOCKET: str(path)}
        )
        self._running[path] = child
        if self._stop.is_set():
            child.signal(signal.SIGTERM)
        async with asyncio.TaskGroup() as group:
            greeting = group.create_task(self._greet(path, child))
            status = await child.ended()
            greeting.cancel()
        del self._running[path]
        self._up.discard(path)
        self.workers.remove(path)
        self._tell_readiness()
        return status

    async def _greet(self, path: Path, child: Child) -> None:
        """Wait until a new worker answers; one that never does is killed."""
        try:
            async with asyncio.timeout(UP_SECONDS):
                await _until_it_answers(path)
        except TimeoutError:
            log.error("%s (pid %d) does not answer: it is killed", path.name, child.pid)
            child.signal(signal.SIGKILL)
            return
        self.workers.add(path)
        self._first_settled.set()
        log.info("%s serves (pid %d)", path.name, child.pid)
        if self._logs.filter != self._settings.log_filter:  # changed on the admin port while we run
            await self.workers.change_log_filter(str(self._logs.filter), reset=False)
        await _until_it_is_ready(path)
        self._up.add(path)
        self._tell_readiness()

    def _tell_readiness(self) -> None:
        """At the start all must be ready; later, as long as one is."""
        if len(self._up) == self._settings.workers:
            self.readiness.done("workers")
        elif not self._up:
            self.readiness.add("workers")

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(_SNAPSHOT_SECONDS)
            await self.workers.snapshot(Snapshot([], []))

    async def _end_all(self) -> None:
        """Let all drain; end them at once on a second signal; kill whoever outlasts its deadline."""
        if self._running:
            log.info("shutting down: %d workers drain", len(self._running))
        self._tell_all(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._settings.drain_deadline + KILL_AFTER):
                was_impatient = False
                while self._running:
                    if self._now.is_set() and not was_impatient:
                        was_impatient = True
                        self._tell_all(signal.SIGTERM)
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            log.warning("%d workers did not end in time: they are killed", len(self._running))
            self._tell_all(signal.SIGKILL)

    def _tell_all(self, number: signal.Signals) -> None:
        for child in self._running.values():
            child.signal(number)


async def _until_it_answers(path: Path) -> None:
    while True:
        try:
            await ask(path, "connections", deadline=UP_SECONDS)
        except WorkerLinkError:
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            return


async def _until_it_is_ready(path: Path) -> None:
    """Each worker follows the control plane for itself, and is not hurried: it may be away for long."""
    while True:
        try:
            if not msgspec.msgpack.decode(await ask(path, "pending", deadline=UP_SECONDS), type=list[str]):
                return
        except WorkerLinkError as error:
            log.debug("%s: %s", path.name, error)
        await asyncio.sleep(_READY_LOOK_SECONDS)
