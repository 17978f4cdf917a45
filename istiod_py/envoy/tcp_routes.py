"""Where the plain connections of a service's port go, by the TCPRoutes attached to it [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy.names import BLACK_HOLE
from istiod_py.envoy.routes import backend_service, is_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from istiod_py.envoy.mesh import EnvoyMesh
    from mesh_py.manifests.routes import TCPRoute, TCPRouteRule
    from mesh_py.model.workload import Service


def clusters_of_service(
    mesh: EnvoyMesh, service: Service, port: int, cluster_of: Callable[[Service, int], str], namespaces: Iterable[str]
) -> list[tuple[str, int]]:
    """Clusters and their weights; the service's own where no route says otherwise. The oldest route counts."""
    allowed = frozenset(namespaces)
    routes = [
        route
        for route in mesh.manifests.tcp_routes
        if route.metadata.namespace in allowed and any(is_parent(mesh, one, service, port) for one in route.parent_refs)
    ]
    oldest = min(routes, key=lambda route: route.metadata.age, default=None)
    if oldest is None or not oldest.rules:
        return [(cluster_of(service, port), 1)]
    return _clusters(mesh, oldest, oldest.rules[0], cluster_of)


def _clusters(
    mesh: EnvoyMesh, route: TCPRoute, rule: TCPRouteRule, cluster_of: Callable[[Service, int], str]
) -> list[tuple[str, int]]:
    found = []
    for one in rule.backend_refs:
        backend = backend_service(mesh, one.backend_ref, route.metadata.namespace)
        port = one.backend_ref.port
        known = backend is not None and port is not None and port in backend.ports
        name = cluster_of(backend, port) if known and backend is not None and port is not None else BLACK_HOLE
        if one.weight > 0:
            found.append((name, one.weight))
    return found or [(BLACK_HOLE, 1)]
