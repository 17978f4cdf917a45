"""An ingress gateway: the HTTP and TCP listeners of a Gateway, and the routes attached to them [pure].

Listeners with TLS need certificates of their own, which are in no manifest we read; they are left out.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from istiod_py.envoy import names
from istiod_py.envoy.connection_manager import connection_manager, routed_by
from istiod_py.envoy.extension import socket_address
from istiod_py.envoy.outbound import outbound_backends
from istiod_py.envoy.routes import routes_of, virtual_host
from mesh_py.manifests.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from istiod_py.envoy.extension import Json
    from istiod_py.envoy.mesh import EnvoyMesh
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.manifests.gateway import Listener
    from mesh_py.manifests.routes import HTTPRoute


def gateway_listeners(mesh: EnvoyMesh, node: EnvoyNode) -> list[Json]:
    """A listener for each port."""
    found = []
    for port in _http_listeners(mesh, node):
        manager = connection_manager(f"gateway_{port}", routed_by(f"http.{port}"), use_remote_address=True)
        found.append(
            {
                "name": names.virtual_listener("0.0.0.0", port),
                "address": socket_address(node.wildcard, port),
                "traffic_direction": "OUTBOUND",
                "filter_chains": [{"filters": [manager]}],
            }
        )
    return found


def gateway_routes(mesh: EnvoyMesh, node: EnvoyNode) -> dict[str, Json]:
    """A route configuration for each port: hosts of its listeners, and of the routes attached to them."""
    found = {}
    for port, listeners in _http_listeners(mesh, node).items():
        hosts: defaultdict[str, list[HTTPRoute]] = defaultdict(list)
        for listener in listeners:
            for route in _attached(mesh, node, listener):
                for host in _hostnames(listener, route):
                    hosts[host].append(route)
        tables = [_host(mesh, node, host, port, routes) for host, routes in sorted(hosts.items())]
        found[f"http.{port}"] = {
            "name": f"http.{port}",
            "virtual_hosts": tables,
            "validate_clusters": False,
            "ignore_port_in_host_matching": True,
        }
    return found


def _host(mesh: EnvoyMesh, node: EnvoyNode, host: str, port: int, routes: Sequence[HTTPRoute]) -> Json:
    distinct = list({route.metadata.key: route for route in routes}.values())
    distinct.sort(key=lambda route: route.metadata.age)
    found = routes_of(mesh, distinct, outbound_backends(mesh, node), port, grants_needed=True)
    return virtual_host(f"{host}:{port}", [host], found)


def _http_listeners(mesh: EnvoyMesh, node: EnvoyNode) -> dict[int, list[Listener]]:
    gateway = mesh.manifests.find(Gateway, node.namespace, node.gateway_name)
    found: defaultdict[int, list[Listener]] = defaultdict(list)
    for listener in gateway.listeners if gateway is not None else ():
        if listener.protocol == "HTTP":
            found[listener.port].append(listener)
    return dict(sorted(found.items()))


def _attached(mesh: EnvoyMesh, node: EnvoyNode, listener: Listener) -> Iterable[HTTPRoute]:
    for route in mesh.http_routes:
        is_named = any(
            (one.kind, one.namespace, one.name) == ("Gateway", node.namespace, node.gateway_name)
            and one.section_name in ("", listener.name)
            and one.port in (None, listener.port)
            for one in route.parent_refs
        )
        if is_named and _may_attach(mesh, node, listener, route.metadata.namespace):
            yield route


def _may_attach(mesh: EnvoyMesh, node: EnvoyNode, listener: Listener, namespace: str) -> bool:
    allowed = listener.allowed_routes
    if allowed.kinds and "HTTPRoute" not in allowed.kinds:
        return False
    match allowed.namespaces_from:
        case "All":
            return True
        case "Same":
            return namespace == node.namespace
        case "Selector":
            selector = allowed.selector
            return selector is not None and selector.matches(mesh.manifests.namespace_labels(namespace))
        case _:
            return False


def _hostnames(listener: Listener, route: HTTPRoute) -> list[str]:
    """The hosts both are for; the narrower of two that overlap."""
    if not route.hostnames:
        return [listener.hostname or "*"]
    if not listener.hostname:
        return list(route.hostnames)
    return [found for host in route.hostnames if (found := _narrower(listener.hostname, host))]


def _narrower(one: str, other: str) -> str:
    if one == other or (one.startswith("*.") and other.endswith(one[1:])):
        return other
    return one if other.startswith("*.") and one.endswith(other[1:]) else ""
