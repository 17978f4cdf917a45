"""The process's surfaces for people and probes: see `Layer7Surfaces`. 15020 tells the application's metrics, too."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from hbone_py.aio.tcp import show
from mesh_py.admin.http_server import TEXT, wrong_method
from mesh_py.admin.layer7_surfaces import Layer7Surfaces
from sidecar_py.config import Settings
from sidecar_py.data_plane import DataPlane

if TYPE_CHECKING:
    from mesh_py.admin.http_server import Handler
    from sidecar_py.config import Scrape

log = logging.getLogger("admin")

_SCRAPE_SECONDS = 5.0
_MOST_SCRAPED = 16 * 1024 * 1024
"""Bytes of the application's metrics that are passed on; what is longer is left out whole."""


class Surfaces(Layer7Surfaces[Settings, DataPlane]):
    """With the application's metrics behind ours."""

    component = "sidecar"

    def own_state(self) -> dict[str, Any]:
        """What is wrong with the manifests, and with the keys that they name."""
        plane = self._plane
        return {"problems": plane.rules.problems(plane.context.workload) + plane.key_sets.problems}

    @property
    def metrics_page(self) -> Handler:
        """Both."""
        return self._merged

    async def _merged(self, request: web.Request) -> web.Response:
        """Ours, then the application's. That it does not answer is no fault of ours: it is logged and left out."""
        if request.method not in ("GET", "HEAD"):
            return wrong_method("GET, HEAD")
        own = self._pages.metrics()
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
