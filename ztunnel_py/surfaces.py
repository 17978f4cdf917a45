"""The process's surfaces for people: 15000 admin, 15020 metrics, 15021 readiness, or one link to a parent."""

from __future__ import annotations

import asyncio
import platform
from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.native import FORM
from mesh_py.admin.admin_server import AdminSurface, filter_of, serve_admin
from mesh_py.admin.config_dump import ConfigDumpParts, Json, assemble_config_dump, version_info
from mesh_py.admin.profile import profile_this_process
from mesh_py.admin.readiness_server import serve_readiness
from mesh_py.admin.settings_dump import dump_settings
from mesh_py.admin.stats_server import serve_stats
from mesh_py.admin.workers import WorkerSurface, serve_worker
from mesh_py.discovery.dump import (
    dump_policies,
    dump_services,
    dump_staged_services,
    dump_static_config,
    dump_workloads,
)
from mesh_py.process.release import release
from ztunnel_py.config import Mode
from ztunnel_py.listening import admin_sockets

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from contextlib import AsyncExitStack
    from pathlib import Path

    from mesh_py.admin.http_server import HttpServer
    from mesh_py.admin.readiness import Readiness
    from mesh_py.process.mesh_source import MeshSource
    from mesh_py.telemetry.snapshot import Snapshot
    from ztunnel_py.foundation import Foundation
    from ztunnel_py.stub_backends import StubBackends


class Plane(Protocol):
    """Whatever serves workloads."""

    def workload_state(self) -> dict[str, Json]:
        """Those that are served, with their live connections."""


class Surfaces:
    """What people and probes see. `drained` is set once the process has ended its connections."""

    def __init__(
        self,
        foundation: Foundation,
        plane: Plane,
        readiness: Readiness,
        source: MeshSource,
        stop: asyncio.Event,
        stubs: StubBackends | None = None,
    ) -> None:
        self.drained = asyncio.Event()
        self._settings, self._state, self._certificates = foundation.settings, foundation.state, foundation.certificates
        self._logs, self._metrics = foundation.logs, foundation.metrics
        self._plane, self._readiness, self._source, self._stop, self._stubs = plane, readiness, source, stop, stubs
        self._servers: list[HttpServer] = []

    async def serve(self, stack: AsyncExitStack, sockets: Mapping[str, socket.socket], worker: Path | None) -> None:
        """Serve on bound sockets until `stack` unwinds, or answer a parent at `worker`."""
        if worker is not None:
            await stack.enter_async_context(serve_worker(worker, self._worker_surface()))
            return
        for server in (
            serve_admin(admin_sockets(sockets), self._admin_surface()),
            serve_stats([sockets["stats"]], self._snapshot),
            serve_readiness([sockets["readiness"]], self._readiness.answer),
        ):
            self._servers.append(await stack.enter_async_context(server))

    async def stop_accepting(self) -> None:
        """Probes fail from now on; open requests end (hbone-dataplane 6.3)."""
        for server in self._servers:
            await server.drain()

    async def config_dump(self) -> Json:
        """The whole state (hbone-controlplane 7.3)."""
        state = self._state
        dump = assemble_config_dump(
            ConfigDumpParts(
                workloads=dump_workloads(state),
                services=dump_services(state),
                policies=dump_policies(state),
                staged_services=dump_staged_services(state),
                static=dump_static_config(self._source.config),
                version=_version(),
                config=dump_settings(self._settings),
                certificates=self._certificates.certificates(),
                workload_state=None if self._settings.mode is Mode.DEDICATED else self._plane.workload_state(),
            )
        )
        return dump if self._stubs is None else dump | self._stubs.describe()

    async def _snapshot(self) -> Snapshot:
        return self._metrics.snapshot()

    async def _shutdown(self) -> None:
        self._stop.set()
        await self.drained.wait()

    def _admin_surface(self) -> AdminSurface:
        return AdminSurface(
            config_dump=self.config_dump,
            log_filter=filter_of(self._logs),
            shutdown=self._shutdown,
            shutdown_deadline=self._settings.drain_deadline,
            readiness=self._readiness.answer,
        )

    def _worker_surface(self) -> WorkerSurface:
        return WorkerSurface(
            snapshot=self._metrics.snapshot,
            connections=self._plane.workload_state,
            pending=lambda: self._readiness.pending,
            config_dump=self.config_dump,
            change_log_filter=lambda clauses, reset: str(self._logs.change(clauses, reset=reset)),
            drain=self._stop.set,
            profile=profile_this_process,
        )


def _version() -> dict[str, str]:
    from OpenSSL import SSL

    return version_info(
        release(),
        git_revision="unknown",
        istio_version="unknown",
        language=f"Python {platform.python_version()}",
        form=FORM,
        crypto=SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode(),
    )
