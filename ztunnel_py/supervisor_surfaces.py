"""The parent's 15000, 15020 and 15021: one view over all workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mesh_py.admin.admin_server import AdminSurface, serve_admin
from mesh_py.admin.readiness_server import serve_readiness
from mesh_py.admin.stats_server import serve_stats
from mesh_py.telemetry.process import process_families
from mesh_py.telemetry.snapshot import Snapshot
from ztunnel_py.listening import admin_sockets

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from mesh_py.admin.readiness import Readiness
    from mesh_py.admin.workers import Workers
    from mesh_py.telemetry.logs import Logs
    from ztunnel_py.config import Settings


class SupervisorSurfaces:
    """What people and probes see. Set `drained` once all workers have ended."""

    def __init__(
        self, settings: Settings, workers: Workers, logs: Logs, readiness: Readiness, stop: asyncio.Event
    ) -> None:
        self.drained = asyncio.Event()
        self._settings, self._workers, self._logs, self._readiness, self._stop = (
            settings,
            workers,
            logs,
            readiness,
            stop,
        )

    async def serve(self, stack: AsyncExitStack, sockets: Mapping[str, socket.socket]) -> None:
        """Serve on bound sockets until `stack` unwinds."""
        surface = AdminSurface(
            config_dump=self._workers.config_dump,
            log_filter=self._log_filter,
            shutdown=self._shutdown,
            shutdown_deadline=self._settings.drain_deadline,
            readiness=self._readiness.answer,
            profile=self._workers.profile,
            is_one_process=False,
        )
        for server in (
            serve_admin(admin_sockets(sockets), surface),
            serve_stats([sockets["stats"]], self._snapshot),
            serve_readiness([sockets["readiness"]], self._readiness.answer),
        ):
            await stack.enter_async_context(server)

    async def _snapshot(self) -> Snapshot:
        return await self._workers.snapshot(Snapshot([], process_families()))

    async def _log_filter(self, clauses: str | None, reset: bool) -> str:
        if clauses is not None or reset:
            self._logs.change(clauses or "", reset=reset)  # raises before anything has changed
            await self._workers.change_log_filter(clauses or "", reset=reset)
        return str(self._logs.filter)

    async def _shutdown(self) -> None:
        self._stop.set()
        await self.drained.wait()
