"""What sidecar and waypoint show to people and probes: 15000 admin, 15020 metrics, 15021 readiness."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mesh_py.admin.admin_server import AdminSurface, filter_of, serve_admin
from mesh_py.admin.config_dump import effective_config
from mesh_py.admin.http_server import serve_http
from mesh_py.admin.layer7_pages import Layer7Pages
from mesh_py.admin.readiness_server import serve_readiness
from mesh_py.admin.settings_dump import dump_settings
from mesh_py.discovery.dump import dump_policies, dump_services, dump_workloads

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from mesh_py.admin.http_server import Handler, HttpServer
    from mesh_py.admin.readiness import Readiness
    from mesh_py.proxy.plane import Layer7Plane
    from mesh_py.settings.layer7 import Layer7Settings
    from mesh_py.telemetry.logs import Logs
    from mesh_py.telemetry.metrics import Metrics

Settings = TypeVar("Settings", bound="Layer7Settings")
Plane = TypeVar("Plane", bound="Layer7Plane[Any]")


class Layer7Surfaces(Generic[Settings, Plane]):
    """What people and probes see. `drained` is set once the process has ended its connections.

    A role says who it is (`component`) and what it knows beside the mesh (`own_state`).
    """

    component: str

    def __init__(
        self,
        settings: Settings,
        plane: Plane,
        logs: Logs,
        metrics: Metrics,
        readiness: Readiness,
        stop: asyncio.Event,
    ) -> None:
        self.drained = asyncio.Event()
        self._settings, self._plane, self._logs = settings, plane, logs
        self._readiness, self._stop = readiness, stop
        self._pages = Layer7Pages(plane, metrics, readiness)
        self._servers: list[HttpServer] = []

    def own_state(self) -> dict[str, Any]:
        """What a role adds to `config_dump`."""
        raise NotImplementedError

    @property
    def metrics_page(self) -> Handler:
        """What 15020 answers."""
        return self._pages.prometheus

    async def serve(self, stack: AsyncExitStack, sockets: Mapping[str, socket.socket]) -> None:
        """Serve on bound sockets until `stack` unwinds."""
        metrics = {"/metrics": self.metrics_page, "/stats/prometheus": self.metrics_page}
        for server in (
            serve_admin([sockets["admin"]], self._admin_surface(), self._pages.handlers()),
            serve_http([sockets["stats"]], metrics),
            serve_readiness([sockets["readiness"]], self._readiness.answer),
        ):
            self._servers.append(await stack.enter_async_context(server))

    async def stop_accepting(self) -> None:
        """Probes fail from now on; open requests end."""
        for server in self._servers:
            await server.drain()

    async def config_dump(self) -> dict[str, Any]:
        """The whole state."""
        context = self._plane.context
        further = context.directory.further
        return {
            "config": effective_config(dump_settings(self._settings)),
            "workloads": dump_workloads(context.state),
            "services": dump_services(context.state),
            "policies": dump_policies(context.state),
            "manifests": [f"{one.kind} {one.metadata.key}" for one in further.manifests.all()],
            "labels": {name: dict(labels) for name, labels in further.labels.items()},
            "keySets": self._plane.key_sets.describe(),
            "certificates": context.certificates.certificates(),
            "pools": context.describe(),
        } | self.own_state()

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
            component=self.component,
        )
