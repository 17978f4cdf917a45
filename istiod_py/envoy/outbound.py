"""A sidecar's outbound side: virtualOutbound and a listener for every address and port of a service [pure].

Captured connections arrive at 15001 and are handed to the listener of their original destination: HTTP ports share one
listener for all addresses, whose routes know services by host; other ports have a listener for each address. What no
listener is for goes on to where it was going.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from istiod_py.envoy import names
from istiod_py.envoy.connection_manager import HTTP_ALPN, connection_manager, routed_by, tcp_proxy, to_clusters
from istiod_py.envoy.extension import Json, extension, socket_address
from istiod_py.envoy.form_today import ORIGINAL_DST_FILTER
from istiod_py.envoy.inspectors import HTTP_INSPECTOR, PATIENCE
from istiod_py.envoy.mesh import HTTP
from istiod_py.envoy.route_actions import default_route
from istiod_py.envoy.routes import domains_of, routes_of_service, virtual_host
from istiod_py.envoy.rules import Backends
from istiod_py.envoy.tcp_routes import clusters_of_service
from istiod_py.envoy.traffic_policy import of_tcp_proxy
from mesh_py.model.address import is_ipv6
from mesh_py.model.workload import AppProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from istiod_py.envoy.mesh import EnvoyMesh
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.model.workload import Service

PROXY_PROTOCOL: Json = extension(
    "envoy.filters.listener.proxy_protocol", "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
)
PASS_ON: Json = {"filters": [tcp_proxy(names.PASSTHROUGH, names.PASSTHROUGH)]}


def outbound_listeners(mesh: EnvoyMesh, node: EnvoyNode) -> list[Json]:
    """All listeners for connections of the proxy's application."""
    visible = visible_services(mesh, node)
    found = [_virtual_outbound(node), *_http_listeners(mesh, node, visible)]
    for service in visible:
        for port in service.ports:
            protocol = mesh.protocol(service, port)
            if protocol not in HTTP:
                found += [_service_listener(mesh, node, service, port, vip.ip) for vip in service.vips]
    if node.http_proxy_port is not None:
        found.append(_http_proxy(node, node.http_proxy_port))
    return found


def outbound_routes(mesh: EnvoyMesh, node: EnvoyNode) -> dict[str, Json]:
    """All route configurations that those listeners name."""
    visible = visible_services(mesh, node)
    by_port: defaultdict[int, list[Service]] = defaultdict(list)
    found: dict[str, Json] = {}
    for service in visible:
        for port in service.ports:
            protocol = mesh.protocol(service, port)
            if protocol in HTTP:
                if port not in names.OWN_PORTS:
                    by_port[port].append(service)
            elif protocol is AppProtocol.UNKNOWN:
                name = _sniffed_route(service, port)
                found[name] = _configuration(name, [_host(mesh, node, service, port, any_domain=True)])
    for port, services in sorted(by_port.items()):
        hosts = [_host(mesh, node, service, port) for service in services]
        found[str(port)] = _configuration(str(port), [*_disjoint(hosts), _allow_any()])
    if node.http_proxy_port is not None:
        found[names.HTTP_PROXY_ROUTE] = _http_proxy_routes(mesh, node, visible)
    return found


def outbound_backends(mesh: EnvoyMesh, node: EnvoyNode) -> Backends:
    """What the routes of a client lead to."""
    return Backends(mesh.rules_of(node), _outbound_cluster)


def visible_services(mesh: EnvoyMesh, node: EnvoyNode) -> Sequence[Service]:
    """The services that a client of this namespace sees, its own namespace's first: of equal names the first counts."""
    seen = [one for one in mesh.services.values() if one.is_visible_to(node.namespace)]
    return sorted(seen, key=lambda one: (one.namespace != node.namespace, not one.canonical, one.key))


def capture_filters(node: EnvoyNode) -> list[Json]:
    """How the original destination of a captured connection is learned."""
    return [PROXY_PROTOCOL if node.takes_proxy_protocol else ORIGINAL_DST_FILTER]


def _virtual_outbound(node: EnvoyNode) -> Json:
    return {
        "name": names.VIRTUAL_OUTBOUND,
        "address": socket_address(node.wildcard, names.OUTBOUND_PORT),
        "traffic_direction": "OUTBOUND",
        "listener_filters": capture_filters(node),
        "use_original_dst": True,
        "filter_chains": [
            {
                # Nobody means 15001 itself: such a connection would come back for ever.
                "name": "virtualOutbound-trap",
                "filter_chain_match": {"destination_port": names.OUTBOUND_PORT},
                "filters": [tcp_proxy(names.BLACK_HOLE, names.BLACK_HOLE)],
            },
            {"name": "virtualOutbound-catchall-tcp", **PASS_ON},
        ],
    }


def _http_listeners(mesh: EnvoyMesh, node: EnvoyNode, services: Iterable[Service]) -> list[Json]:
    every = "::" if is_ipv6(node.ip) else "0.0.0.0"
    ports = {port for service in services for port in service.ports if mesh.protocol(service, port) in HTTP}
    return [
        _sniffing_listener(names.virtual_listener(every, port), every, port, str(port), PASS_ON)
        for port in sorted(ports - names.OWN_PORTS)
    ]


def _service_listener(mesh: EnvoyMesh, node: EnvoyNode, service: Service, port: int, address: str) -> Json:
    name = names.virtual_listener(address, port)
    proxy = _to_service(mesh, node, service, port)
    if mesh.protocol(service, port) is AppProtocol.UNKNOWN:
        return _sniffing_listener(name, address, port, _sniffed_route(service, port), {"filters": [proxy]})
    return _unbound(name, address, port) | {"filter_chains": [{"filters": [proxy]}]}


def _sniffing_listener(name: str, address: str, port: int, route: str, otherwise: Json) -> Json:
    manager = connection_manager(f"outbound_{name}", routed_by(route))
    http = {"filter_chain_match": {"application_protocols": list(HTTP_ALPN)}, "filters": [manager]}
    return _unbound(name, address, port) | {
        "listener_filters": [HTTP_INSPECTOR],
        **PATIENCE,
        "filter_chains": [http],
        "default_filter_chain": otherwise,
    }


def _unbound(name: str, address: str, port: int) -> Json:
    return {
        "name": name,
        "address": socket_address(address, port),
        "bind_to_port": False,
        "traffic_direction": "OUTBOUND",
    }


def _to_service(mesh: EnvoyMesh, node: EnvoyNode, service: Service, port: int) -> Json:
    clusters = clusters_of_service(mesh, service, port, _outbound_cluster, (service.namespace,))
    fields = of_tcp_proxy(mesh.rules_of(node).policy(service, port))
    return to_clusters(names.outbound(port, service.hostname), clusters, **fields)


def _http_proxy(node: EnvoyNode, port: int) -> Json:
    manager = connection_manager("outbound_http_proxy", routed_by(names.HTTP_PROXY_ROUTE))
    return {
        "name": names.virtual_listener(node.localhost, port),
        "address": socket_address(node.localhost, port),
        "traffic_direction": "OUTBOUND",
        "filter_chains": [{"filters": [manager]}],
    }


def _http_proxy_routes(mesh: EnvoyMesh, node: EnvoyNode, services: Iterable[Service]) -> Json:
    """Every HTTP service by host and port: an explicit proxy has no original destination to tell the port by."""
    hosts = [
        _host(mesh, node, service, port, with_port=True)
        for service in services
        for port in service.ports
        if mesh.protocol(service, port) in HTTP | {AppProtocol.UNKNOWN}
    ]
    return _configuration(names.HTTP_PROXY_ROUTE, _disjoint(hosts), ignore_port=False)


def _host(
    mesh: EnvoyMesh, node: EnvoyNode, service: Service, port: int, *, any_domain: bool = False, with_port: bool = False
) -> Json:
    # A route of the service's namespace is for all its clients, one of the client's for these alone.
    namespaces = (service.namespace, node.namespace)
    routes = routes_of_service(mesh, service, port, outbound_backends(mesh, node), namespaces)
    domains = ["*"] if any_domain else domains_of(service, node.namespace, node.dns_domain)
    if with_port:
        domains = [f"{one}:{port}" for one in domains] + (domains if port == 80 else [])
    return virtual_host(f"{service.hostname}:{port}", domains, routes)


def _disjoint(hosts: Iterable[Json]) -> list[Json]:
    """Each domain with the first host that claims it: Envoy refuses a table that names one twice."""
    taken: set[str] = set()
    found = []
    for host in hosts:
        domains = [one for one in host["domains"] if one not in taken]
        taken.update(domains)
        if domains:
            found.append(host | {"domains": domains})
    return found


def _allow_any() -> Json:
    return virtual_host("allow_any", ["*"], [default_route(names.PASSTHROUGH)])


def _configuration(name: str, hosts: list[Json], *, ignore_port: bool = True) -> Json:
    return {
        "name": name,
        "virtual_hosts": hosts,
        "validate_clusters": False,
        "ignore_port_in_host_matching": ignore_port,
    }


def _outbound_cluster(service: Service, port: int, subset: str = "") -> str:
    return names.outbound(port, service.hostname, subset)


def _sniffed_route(service: Service, port: int) -> str:
    return f"{service.hostname}:{port}"
