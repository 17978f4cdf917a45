"""The process's surfaces for people and probes: 15000 admin, 15020 merged metrics, 15021 readiness."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from hbone_py.aio.tcp import show
from mesh_py.admin.admin_server import AdminSurface, serve_admin
from mesh_py.admin.http_server import TEXT, serve_http, wrong_method
from mesh_py.admin.layer7_pages import Layer7Pages
from mesh_py.admin.readiness_server import serve_readiness
from mesh_py.admin.settings_dump import dump_settings
from mesh_py.discovery.dump import dump_policies, dump_services, dump_workloads

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from mesh_py.admin.http_server import HttpServer
    from mesh_py.admin.readiness import Readiness
    from mesh_py.telemetry.logs import Logs
    from mesh_py.telemetry.metrics import Metrics
    from sidecar_py.config import Scrape, Settings
    from sidecar_py.data_plane import DataPlane

log = logging.getLogger("admin")

_SCRAPE_SECONDS = 5.0
_MOST_SCRAPED = 16 * 1024 * 1024
"""Bytes of the application's metrics that are passed on; what is longer is left out whole."""


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
        self._settings, self._plane, self._logs = settings, plane, logs
        self._readiness, self._stop = readiness, stop
        self._pages = Layer7Pages(plane, metrics, readiness)
        self._servers: list[HttpServer] = []

    async def serve(self, stack: AsyncExitStack, sockets: Mapping[str, socket.socket]) -> None:
        """Serve on bound sockets until `stack` unwinds."""
        merged = {"/metrics": self._merged, "/stats/prometheus": self._merged}
        for server in (
            serve_admin([sockets["admin"]], self._admin_surface(), self._pages.handlers()),
            serve_http([sockets["stats"]], merged),
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
            "labels": {name: dict(labels) for name, labels in context.directory.further.labels.items()},
            "problems": self._plane.rules.problems(context.workload) + self._plane.key_sets.problems,
            "keySets": self._plane.key_sets.describe(),
            "certificates": context.certificates.certificates(),
            "pools": context.describe(),
        }

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
            component="sidecar",
        )

    # 15020 ------------------------------------------------------------------

    async def _merged(self, request: web.Request) -> web.Response:
        """Ours, then the application's. That it does not answer is no fault of ours: it is logged and left out."""
        if request.method not in ("GET", "HEAD"):
            return wrong_method("GET, HEAD")
        own = self._pages.metrics().removesuffix("# EOF\n")
        theirs = "" if self._settings.scrape is None else await self._scraped(self._settings.scrape)
        return web.Response(body=(own + theirs).encode(), headers={"Content-Type": TEXT})

    async def _scraped(self, scrape: Scrape) -> str:
        host = self._settings.app_address or self._plane.context.workload.workload_ips[0]
        url = f"http://{show((host, scrape.port))}{scrape.path}"
        try:
            async with ClientSession(timeout=ClientTimeout(total=_SCRAPE_SECONDS)) as session, session.get(url) as got:
                if got.status != 200:
                    raise ClientError(f"status {got.status}")
                body = await got.content.read(_MOST_SCRAPED + 1)
                while len(body) <= _MOST_SCRAPED and (more := await got.content.read(_MOST_SCRAPED)):
                    body += more
        except (ClientError, TimeoutError, OSError) as error:
            log.warning("the application's metrics at %s are left out: %s", url, str(error) or type(error).__name__)
            return ""
        if len(body) > _MOST_SCRAPED:
            log.warning("the application's metrics at %s are left out: more than %d bytes", url, _MOST_SCRAPED)
            return ""
        return body.decode(errors="replace").removesuffix("# EOF\n")
