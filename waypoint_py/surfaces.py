"""The process's surfaces for people and probes: 15000 admin, 15020 metrics, 15021 readiness."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hbone_py.aio.tcp import show
from mesh_py.admin.admin_server import AdminSurface, serve_admin
from mesh_py.admin.http_server import serve_http, text, wrong_method
from mesh_py.admin.readiness_server import serve_readiness
from mesh_py.admin.settings_dump import dump_settings
from mesh_py.discovery.dump import dump_policies, dump_services, dump_workloads
from mesh_py.proxy.ways import Hbone, MutualTls
from mesh_py.telemetry.exposition import render
from waypoint_py.route_status import route_statuses

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from aiohttp import web

    from mesh_py.admin.http_server import HttpServer
    from mesh_py.admin.readiness import Readiness
    from mesh_py.proxy.ways import Endpoint
    from mesh_py.telemetry.logs import Logs
    from mesh_py.telemetry.metrics import Metrics
    from waypoint_py.config import Settings
    from waypoint_py.data_plane import DataPlane


class Surfaces:
    """What people and probes see. `drained` is set once the process has ended its connections."""

    def __init__(
        self,
        settings: Settings,
        plane: DataPlane,
        logs: Logs,
        metrics: Metrics,
        readiness: Readiness,
        stop: asyncio.Event,
    ) -> None:
        self.drained = asyncio.Event()
        self._settings, self._plane, self._logs, self._metrics = settings, plane, logs, metrics
        self._readiness, self._stop = readiness, stop
        self._servers: list[HttpServer] = []

    async def serve(self, stack: AsyncExitStack, sockets: Mapping[str, socket.socket]) -> None:
        """Serve on bound sockets until `stack` unwinds."""
        more = {
            "/clusters": self._clusters,
            "/listeners": self._listeners,
            "/stats": self._stats,
            "/stats/prometheus": self._prometheus,
            "/ready": self._ready,
        }
        metrics = {"/metrics": self._prometheus, "/stats/prometheus": self._prometheus}
        for server in (
            serve_admin([sockets["admin"]], self._admin_surface(), more),
            serve_http([sockets["stats"]], metrics),
            serve_readiness([sockets["readiness"]], self._readiness.answer),
        ):
            self._servers.append(await stack.enter_async_context(server))

    async def stop_accepting(self) -> None:
        """Probes fail from now on; open requests end."""
        for server in self._servers:
            await server.drain()

    # 15000 ------------------------------------------------------------------

    async def config_dump(self) -> dict[str, Any]:
        """The whole state."""
        context = self._plane.context
        manifests = context.directory.further.manifests
        return {
            "config": dump_settings(self._settings),
            "workloads": dump_workloads(context.state),
            "services": dump_services(context.state),
            "policies": dump_policies(context.state),
            "manifests": [f"{one.kind} {one.metadata.key}" for one in manifests.all()],
            "routes": route_statuses(context, self._plane.gateway_routes.gateway),
            "labels": {name: dict(labels) for name, labels in context.directory.further.labels.items()},
            "problems": self._plane.chains.problems,
            "keySets": self._plane.key_sets.describe(),
            "certificates": context.certificates.certificates(),
            "pools": context.describe(),
        }

    async def _clusters(self, request: web.Request) -> web.Response:
        lines = []
        for cluster in self._plane.clusters.known():
            lines += [
                f"{cluster.name}::default_priority::{name}::{value}"
                for name, value in (
                    ("max_connections", cluster.traffic.pool.connections),
                    ("max_requests", cluster.circuit.limits.max_requests),
                    ("rq_active", cluster.circuit.requests),
                    ("overflow", cluster.circuit.overflows),
                )
            ]
            for host, endpoint in cluster.endpoints():
                health = "/failed_outlier_check" if host.is_ejected else "healthy"
                lines.append(
                    f"{cluster.name}::{host.address}::{_way(endpoint)}::weight::{host.weight}"
                    f"::rq_active::{host.active}::health_flags::{health}"
                )
        return _get(request, "".join(f"{line}\n" for line in lines))

    async def _listeners(self, request: web.Request) -> web.Response:
        rows = self._plane.listeners.items()
        return _get(request, "".join(f"{name}::{show(listener.address)}\n" for name, listener in rows))

    async def _stats(self, request: web.Request) -> web.Response:
        found = [line for line in self._own().splitlines() if line and not line.startswith("#")]
        return _get(request, "".join(f"{name}: {value}\n" for name, _, value in (x.rpartition(" ") for x in found)))

    async def _prometheus(self, request: web.Request) -> web.Response:
        return _get(request, self._own())

    async def _ready(self, request: web.Request) -> web.Response:
        status, _ = self._readiness.answer()
        return text(200, "LIVE\n") if status == 200 else text(503, "PRE_INITIALIZING\n")

    def _own(self) -> str:
        return "".join(render(self._metrics.snapshot()))

    async def _shutdown(self) -> None:
        self._stop.set()
        await self.drained.wait()

    async def _log_filter(self, clauses: str | None, reset: bool) -> str:
        if clauses is not None or reset:
            self._logs.change(clauses or "", reset=reset)
        return str(self._logs.filter)

    def _admin_surface(self) -> AdminSurface:
        return AdminSurface(
            config_dump=self.config_dump,
            log_filter=self._log_filter,
            shutdown=self._shutdown,
            shutdown_deadline=self._settings.drain_deadline,
            readiness=self._readiness.answer,
            component="waypoint",
        )


def _get(request: web.Request, body: str) -> web.Response:
    return text(200, body) if request.method in ("GET", "HEAD") else wrong_method("GET, HEAD")


def _way(endpoint: Endpoint) -> str:
    match endpoint.way:
        case Hbone(authority=authority, is_waypoint=is_waypoint):
            return f"hbone::{authority}{'::waypoint' if is_waypoint else ''}"
        case MutualTls(server_name=name):
            return f"mutual_tls::{name}"
        case _:
            return "plain"
