"""The pages of a layer 7 proxy's admin port that look like Envoy's: /clusters, /listeners, /stats, /ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.tcp import show
from mesh_py.admin.http_server import text, wrong_method
from mesh_py.proxy.ways import Hbone, MutualTls, Secured
from mesh_py.telemetry.exposition import as_classic, render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp import web

    from hbone_py.aio.tcp import Listener
    from mesh_py.admin.http_server import Handler
    from mesh_py.admin.readiness import Readiness
    from mesh_py.proxy.cluster import Cluster
    from mesh_py.proxy.clusters import Clusters
    from mesh_py.proxy.ways import Endpoint
    from mesh_py.telemetry.metrics import Metrics


class Shown(Protocol):
    """A data plane, as far as the pages show it."""

    @property
    def clusters(self) -> Clusters:
        """The backends that are known."""

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """By name."""


class Layer7Pages:
    """Reads what there is at each request."""

    def __init__(self, plane: Shown, metrics: Metrics, readiness: Readiness) -> None:
        self._plane, self._metrics, self._readiness = plane, metrics, readiness

    def handlers(self) -> dict[str, Handler]:
        """By path."""
        return {
            "/clusters": self._clusters,
            "/listeners": self._listeners,
            "/stats": self._stats,
            "/stats/prometheus": self.prometheus,
            "/ready": self._ready,
        }

    def metrics(self) -> str:
        """The proxy's own metrics, in the text format that Envoy's are in."""
        return as_classic("".join(render(self._metrics.snapshot())))

    async def prometheus(self, request: web.Request) -> web.Response:
        """The same, as an answer."""
        return _get(request, self.metrics())

    async def _clusters(self, request: web.Request) -> web.Response:
        lines = (line for cluster in self._plane.clusters.known() for line in _cluster_lines(cluster))
        return _get(request, "".join(f"{line}\n" for line in lines))

    async def _listeners(self, request: web.Request) -> web.Response:
        rows = self._plane.listeners.items()
        return _get(request, "".join(f"{name}::{show(listener.address)}\n" for name, listener in rows))

    async def _stats(self, request: web.Request) -> web.Response:
        found = [line for line in self.metrics().splitlines() if line and not line.startswith("#")]
        return _get(request, "".join(f"{name}: {value}\n" for name, _, value in (x.rpartition(" ") for x in found)))

    async def _ready(self, request: web.Request) -> web.Response:
        status, _ = self._readiness.answer()
        return text(200, "LIVE\n") if status == 200 else text(503, "PRE_INITIALIZING\n")


def _get(request: web.Request, body: str) -> web.Response:
    return text(200, body) if request.method in ("GET", "HEAD") else wrong_method("GET, HEAD")


def _cluster_lines(cluster: Cluster) -> Iterator[str]:
    for name, value in (
        ("max_connections", cluster.traffic.pool.connections),
        ("max_requests", cluster.circuit.limits.max_requests),
        ("rq_active", cluster.circuit.requests),
        ("overflow", cluster.circuit.overflows),
    ):
        yield f"{cluster.name}::default_priority::{name}::{value}"
    for host, endpoint in cluster.endpoints():
        health = "/failed_outlier_check" if host.is_ejected else "healthy"
        yield (
            f"{cluster.name}::{host.address}::{_way(endpoint)}::weight::{host.weight}"
            f"::rq_active::{host.active}::health_flags::{health}"
        )


def _way(endpoint: Endpoint) -> str:
    inside = f"::tls::{endpoint.way.server_name}" if isinstance(endpoint.way, Secured) else ""
    return _carrier(endpoint) + inside


def _carrier(endpoint: Endpoint) -> str:
    match endpoint.carrier:
        case Hbone(authority=authority, is_waypoint=is_waypoint):
            return f"hbone::{authority}{'::waypoint' if is_waypoint else ''}"
        case MutualTls(server_name=name):
            return f"mutual_tls::{name}"
        case _:
            return "plain"
