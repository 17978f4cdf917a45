"""15014: metrics, readiness, and the debug pages people know from istiod. Local requests only."""

from __future__ import annotations

import asyncio
import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from istiod_py import debug_views
from istiod_py.envoy.protobuf import message_of
from mesh_py.admin.admin_server import local_requests_only, pretty_json
from mesh_py.admin.http_server import TEXT, HttpServer, serve_http, text, wrong_method

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from istiod_py.clients import Client, Clients
    from istiod_py.metrics import IstiodMetrics
    from istiod_py.snapshot import Collection
    from istiod_py.world import World
    from mesh_py.admin.http_server import Handler
    from mesh_py.discovery.problems import Problem

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PAGES = (
    ("/debug/syncz", "what each proxy was sent, and what of it it accepted"),
    ("/debug/adsz", "each proxy's connection, metadata and subscriptions"),
    ("/debug/connections", "each proxy's connection, in short"),
    ("/debug/ambientz", "workloads, services and policies as node proxies are told them"),
    ("/debug/configz", "every manifest that is served, and where it is written"),
    ("/debug/problems", "what is wrong with the folder, and what authors should know"),
    ("/debug/config_dump?proxyID=NAME.NAMESPACE", "what one proxy may see; &resources adds Envoy's own in full"),
    ("/metrics", "numbers for Prometheus"),
    ("/ready", "whether there is a mesh to serve"),
    ("/version", "which version this is"),
)


@dataclass(frozen=True, slots=True)
class DebugSurface:
    """What the pages look at."""

    world: Callable[[], World]
    faults: Callable[[], Iterable[Problem]]
    clients: Clients
    collection: Callable[[str, Client], Collection]
    metrics: IstiodMetrics
    is_ready: Callable[[], bool]
    version: str


def serve_debug(sockets: Sequence[socket.socket], surface: DebugSurface) -> AbstractAsyncContextManager[HttpServer]:
    """Serve it on sockets bound to loopback addresses."""
    debug = _Debug(surface)
    routes: dict[str, Handler] = {
        "/": debug.index,
        "/debug": debug.index,
        "/debug/": debug.index,
        "/debug/config_dump": debug.config_dump,
        "/metrics": debug.metrics,
        "/ready": debug.ready,
        "/version": debug.version,
    }
    routes |= {f"/debug/{name}": debug.page(view) for name, view in debug.views_of_clients().items()}
    routes |= {f"/debug/{name}": debug.large_page(view) for name, view in debug.views_of_the_mesh().items()}
    return serve_http(sockets, routes, middlewares=[local_requests_only, _reading_only])


@web.middleware
async def _reading_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    return await handler(request) if request.method in ("GET", "HEAD") else wrong_method("GET, HEAD")


class _Debug:
    def __init__(self, surface: DebugSurface) -> None:
        self._surface = surface

    def views_of_clients(self) -> dict[str, Callable[[], Any]]:
        clients = self._surface.clients
        return {
            "syncz": lambda: debug_views.syncz(clients),
            "adsz": lambda: debug_views.adsz(clients),
            "connections": lambda: debug_views.connections(clients),
        }

    def views_of_the_mesh(self) -> dict[str, Callable[[], Any]]:
        """Of what never changes, so that another thread may look at it."""
        one = self._surface
        return {
            "ambientz": lambda: debug_views.ambientz(one.world().mesh),
            "configz": lambda: debug_views.configz(one.world().manifests),
            "problems": lambda: debug_views.problems(one.faults(), one.world().mesh),
        }

    def page(self, view: Callable[[], Any]) -> Handler:
        async def answer(_: web.Request) -> web.Response:
            return await _json(view())

        return answer

    def large_page(self, view: Callable[[], Any]) -> Handler:
        async def answer(_: web.Request) -> web.Response:
            return await _json(await asyncio.to_thread(view))  # proxies do not wait for a page

        return answer

    async def index(self, _: web.Request) -> web.Response:
        rows = "".join(f'<tr><td><a href="{html.escape(path)}">{path}</a><td>{about}' for path, about in PAGES)
        page = f"<!doctype html><title>istiod_py</title><h1>istiod_py</h1><table>{rows}</table>\n"
        return text(200, page, "text/html; charset=utf-8", content_security_policy="default-src 'none'")

    async def config_dump(self, request: web.Request) -> web.Response:
        proxy = request.query.get("proxyID", "")
        found = self._surface.clients.of_proxy(proxy)
        if not found:
            known = "\n".join(sorted({f"{one.node.name}.{one.node.namespace}" for one in self._surface.clients}))
            return text(404, f"no proxy {proxy!r} is connected; ?proxyID= takes one of:\n{known}\n")
        in_full = "resources" in request.query
        return await _json([self._dump(client, in_full=in_full) for client in found])

    def _dump(self, client: Client, *, in_full: bool) -> Any:
        collections = {url: self._surface.collection(url, client) for url in client.subscriptions}
        dump = debug_views.resources(client, collections)
        return dump | ({"configs": _in_full(collections)} if in_full else {})

    async def metrics(self, _: web.Request) -> web.Response:
        return text(200, "".join(self._surface.metrics.text()), _METRICS_TYPE)

    async def ready(self, _: web.Request) -> web.Response:
        return text(200, "ready\n") if self._surface.is_ready() else text(503, "not ready: no mesh yet\n")

    async def version(self, _: web.Request) -> web.Response:
        return text(200, f"{self._surface.version}\n", TEXT)


def _in_full(collections: dict[str, Collection]) -> dict[str, list[Any]]:
    """Envoy's resources as JSON. Secrets are nobody's business, and ours are shown by `ambientz`."""
    from google.protobuf.json_format import MessageToDict

    found: dict[str, list[Any]] = {}
    for url, collection in collections.items():
        if ".config." not in url:
            continue
        for resource in collection.resources.values():
            message = message_of(url)
            message.ParseFromString(resource.body)
            found.setdefault(url, []).append(MessageToDict(message, preserving_proto_field_name=True))
    return found


async def _json(value: Any) -> web.Response:
    return web.Response(body=await asyncio.to_thread(pretty_json, value), content_type="application/json")
