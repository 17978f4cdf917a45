"""CDS: a cluster for every port of every service, and the fixed ones (hbone-controlplane 9.2) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy import names
from istiod_py.envoy.endpoints import SIDECAR_MATCH, TUNNEL_MATCH, Way, way_to
from istiod_py.envoy.extension import socket_address
from istiod_py.envoy.tls import ALPN_OF_HTTP, ALPN_OF_HTTP2, ALPN_OF_TCP, BY_ADS, RAW, sidecar_client
from istiod_py.envoy.tunnel import http1_options, http2_options, internal_upstream, same_protocol_options
from mesh_py.model.address import is_ipv6
from mesh_py.model.workload import AppProtocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from istiod_py.envoy.extension import Json
    from istiod_py.envoy.form import Form
    from istiod_py.envoy.mesh import EnvoyMesh
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.model.workload import Service

CONNECT_TIMEOUT = "10s"
INBOUND_SOURCE = "127.0.0.6"
"""Where a sidecar's connections to its own application come from: redirection lets them pass by it."""
INBOUND_SOURCE_V6 = "::6"

_ALPN = {
    AppProtocol.HTTP11: ALPN_OF_HTTP,
    AppProtocol.HTTP2: ALPN_OF_HTTP2,
    AppProtocol.GRPC: ALPN_OF_HTTP2,
}


def outbound_cluster(mesh: EnvoyMesh, node: EnvoyNode, form: Form, service: Service, port: int) -> Json:
    """The cluster of a service's port for its clients: the endpoint's metadata picks one of three sockets."""
    protocol = mesh.protocol(service, port)
    name = names.outbound(port, service.hostname)
    if service.is_passthrough:
        return _original_destination(name) | http_options(protocol)
    if by_name := mesh.names(service, port):
        return _by_dns(name, by_name, ipv6=is_ipv6(node.ip)) | http_options(protocol)
    return {
        **_by_eds(name),
        "transport_socket_matches": [
            {"name": "hbone", "match": TUNNEL_MATCH, "transport_socket": internal_upstream(form.passed_on)},
            {
                "name": "tlsMode-istio",
                "match": SIDECAR_MATCH,
                "transport_socket": _to_sidecars(mesh, node, form, service, port, protocol),
            },
            {"name": "tlsMode-disabled", "match": {}, "transport_socket": RAW},
        ],
        **http_options(protocol),
    }


def service_cluster(mesh: EnvoyMesh, form: Form, service: Service, port: int, name: str) -> Json:
    """A waypoint's cluster for a service's port: every tunnel starts in an internal listener."""
    return {
        **_by_eds(name),
        "transport_socket": internal_upstream(form.passed_on),
        **http_options(mesh.protocol(service, port)),
    }


def inbound_cluster(port: int, protocol: AppProtocol, *, ipv6: bool) -> Json:
    """The proxy's own application, at the address the connection was for."""
    source = INBOUND_SOURCE_V6 if ipv6 else INBOUND_SOURCE
    return {
        **_original_destination(names.inbound(port)),
        "upstream_bind_config": {"source_address": {"address": source, "port_value": 0}},
        **http_options(protocol),
    }


def inbound_passthrough_cluster(*, ipv6: bool) -> Json:
    """Ports of the application that no service names."""
    return inbound_cluster(0, AppProtocol.UNKNOWN, ipv6=ipv6) | {"name": names.INBOUND_PASSTHROUGH}


def passthrough_cluster() -> Json:
    """Destinations outside the mesh, where they were going."""
    return _original_destination(names.PASSTHROUGH) | http_options(AppProtocol.UNKNOWN)


def black_hole_cluster() -> Json:
    """Nobody."""
    return {"name": names.BLACK_HOLE, "type": "STATIC", "connect_timeout": CONNECT_TIMEOUT}


def http_options(protocol: AppProtocol) -> Json:
    """Which version of HTTP a cluster speaks, if it ever does."""
    match protocol:
        case AppProtocol.HTTP11:
            options = http1_options()
        case AppProtocol.HTTP2 | AppProtocol.GRPC:
            options = http2_options({})
        case AppProtocol.TCP | AppProtocol.TLS:
            return {}
        case AppProtocol.UNKNOWN:
            options = same_protocol_options()
    return {"typed_extension_protocol_options": options}


def _to_sidecars(
    mesh: EnvoyMesh, node: EnvoyNode, form: Form, service: Service, port: int, protocol: AppProtocol
) -> Json:
    expected = {
        mesh.identity(place.workload)
        for place in mesh.places(service, port)
        if way_to(mesh, node, form, place) is Way.SIDECAR
    }
    return sidecar_client(
        names.server_name(port, service.hostname),
        _ALPN.get(protocol, ALPN_OF_TCP),
        [*expected, *service.subject_alt_names] if expected else [],
        mesh.trust_domains,
    )


def _by_eds(name: str) -> Json:
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": BY_ADS, "service_name": name},
        "connect_timeout": CONNECT_TIMEOUT,
        "lb_policy": "LEAST_REQUEST",
    }


def _by_dns(name: str, endpoints: Sequence[tuple[str, int]], *, ipv6: bool) -> Json:
    """Services of the outside world, which Envoy looks up again and again by itself."""
    found = [{"endpoint": {"address": socket_address(host, port)}} for host, port in endpoints]
    return {
        "name": name,
        "type": "STRICT_DNS",
        # AUTO tries IPv6 first, and then nothing else.
        "dns_lookup_family": "AUTO" if ipv6 else "V4_PREFERRED",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": found}]},
        "connect_timeout": CONNECT_TIMEOUT,
        "lb_policy": "LEAST_REQUEST",
    }


def _original_destination(name: str) -> Json:
    return {
        "name": name,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": CONNECT_TIMEOUT,
    }
