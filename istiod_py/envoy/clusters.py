"""CDS: a cluster for every port of every service, and the fixed ones (hbone-controlplane 9.2) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy import names
from istiod_py.envoy.endpoints import SIDECAR_MATCH, TUNNEL_MATCH, Way, way_to
from istiod_py.envoy.extension import socket_address
from istiod_py.envoy.tls import (
    ALPN_OF_HTTP,
    ALPN_OF_HTTP2,
    ALPN_OF_TCP,
    BY_ADS,
    RAW,
    originated_client,
    sidecar_client,
)
from istiod_py.envoy.traffic_policy import CONNECT_TIMEOUT, passes_through, shaped, spoken
from istiod_py.envoy.tunnel import http_options, internal_upstream
from mesh_py.manifests.client_tls import TlsMode
from mesh_py.model.address import is_ipv6
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.localities import is_distributed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from istiod_py.envoy.extension import Json
    from istiod_py.envoy.form import Form
    from istiod_py.envoy.mesh import EnvoyMesh, Target
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.manifests.traffic import TrafficPolicy
    from mesh_py.model.workload import Service

INBOUND_SOURCE = "127.0.0.6"
"""Where a sidecar's connections to its own application come from: redirection lets them pass by it."""
INBOUND_SOURCE_V6 = "::6"

_ALPN = {
    AppProtocol.HTTP11: ALPN_OF_HTTP,
    AppProtocol.HTTP2: ALPN_OF_HTTP2,
    AppProtocol.GRPC: ALPN_OF_HTTP2,
}
_ALPN_OF_APPLICATIONS = {
    AppProtocol.HTTP11: ("http/1.1",),
    AppProtocol.HTTP2: ("h2",),
    AppProtocol.GRPC: ("h2",),
}


def outbound_cluster(mesh: EnvoyMesh, node: EnvoyNode, form: Form, target: Target) -> Json:
    """The cluster of a service's port or subset for its clients: the endpoint's metadata picks one of three sockets,
    unless a DestinationRule has chosen."""
    service, port, subset = target
    policy = mesh.rules_of(node).policy(service, port, target.subset_name)
    protocol = mesh.protocol(service, port)
    name = names.outbound(port, service.hostname, target.subset_name)
    if _has_no_certificate(node, policy):
        return shaped(_nobody(name), policy, protocol)
    if service.is_passthrough or passes_through(policy):
        return shaped(_original_destination(name) | _socket(mesh, node, form, target), policy, protocol)
    if by_name := mesh.names(service, port, subset):
        cluster = _by_dns(name, by_name, ipv6=is_ipv6(node.ip))
        return shaped(cluster | _socket(mesh, node, form, target), policy, protocol)
    sockets = {"transport_socket_matches": _sockets(mesh, node, form, target)}
    return shaped(_by_eds(name) | sockets | _by_locality(mesh, node, policy), policy, protocol)


def service_cluster(mesh: EnvoyMesh, node: EnvoyNode, form: Form, target: Target, name: str) -> Json:
    """A waypoint's cluster for a service's port or subset: every tunnel starts in an internal listener.

    TLS that a rule asks for is spoken inside it; Istio's own mutual TLS means the tunnel.
    """
    policy = mesh.rules_of(node).policy(target.service, target.port, target.subset_name)
    protocol = mesh.protocol(target.service, target.port)
    if _has_no_certificate(node, policy):
        return shaped(_nobody(name), policy, protocol)
    inner = _originated(node, target.service, policy, protocol)
    cluster = _by_eds(name) | {"transport_socket": internal_upstream(form.passed_on, inner or RAW)}
    return shaped(cluster | _by_locality(mesh, node, policy), policy, protocol)


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


def _sockets(mesh: EnvoyMesh, node: EnvoyNode, form: Form, target: Target) -> list[Json]:
    """Tunnels to who takes them; mutual TLS to who has a sidecar, or what a rule says to all others."""
    policy = mesh.rules_of(node).policy(target.service, target.port, target.subset_name)
    inner = _originated(node, target.service, policy, mesh.protocol(target.service, target.port))
    tunnel = internal_upstream(form.passed_on, inner or RAW)
    found = [{"name": "hbone", "match": TUNNEL_MATCH, "transport_socket": tunnel}]
    if policy.tls is None:
        socket = _to_sidecars(mesh, node, form, target)
        found.append({"name": "tlsMode-istio", "match": SIDECAR_MATCH, "transport_socket": socket})
    others = _socket(mesh, node, form, target).get("transport_socket", RAW)
    return [
        *found,
        {"name": "tlsMode-disabled" if others is RAW else "configured", "match": {}, "transport_socket": others},
    ]


def _socket(mesh: EnvoyMesh, node: EnvoyNode, form: Form, target: Target) -> Json:
    """The one socket that a rule wants, as a field of a cluster; none where it wants no TLS."""
    policy = mesh.rules_of(node).policy(target.service, target.port, target.subset_name)
    if policy.tls is not None and policy.tls.mode is TlsMode.ISTIO_MUTUAL:
        return {"transport_socket": _to_sidecars(mesh, node, form, target)}
    found = _originated(node, target.service, policy, mesh.protocol(target.service, target.port))
    return {} if found is None else {"transport_socket": found}


def _originated(node: EnvoyNode, service: Service, policy: TrafficPolicy, protocol: AppProtocol) -> Json | None:
    if policy.tls is None or not policy.tls.is_originated:
        return None
    alpn = _ALPN_OF_APPLICATIONS.get(spoken(protocol, policy), ())
    return originated_client(policy.tls.mounted(node.credentials_folder), alpn, service.subject_alt_names)


def _has_no_certificate(node: EnvoyNode, policy: TrafficPolicy) -> bool:
    """Whether a rule wants TLS with a Secret that it may not name to this proxy, or that is nowhere mounted: nothing
    goes without."""
    tls = policy.tls
    if tls is None or not tls.is_originated or not tls.credential_name:
        return False
    return tls.is_withheld or not node.credentials_folder


def _to_sidecars(mesh: EnvoyMesh, node: EnvoyNode, form: Form, target: Target) -> Json:
    service, port, subset = target
    policy = mesh.rules_of(node).policy(service, port, target.subset_name)
    wanted = (Way.SIDECAR,) if policy.tls is None else (Way.SIDECAR, Way.PLAIN)
    expected = {
        mesh.identity(place.workload)
        for place in mesh.places(service, port, subset)
        if way_to(mesh, node, form, place) in wanted
    }
    accounts = [*expected, *service.subject_alt_names] if expected else []
    return sidecar_client(
        (policy.tls and policy.tls.sni) or names.server_name(port, service.hostname, target.subset_name),
        _ALPN.get(spoken(mesh.protocol(service, port), policy), ALPN_OF_TCP),
        (policy.tls and policy.tls.subject_alt_names) or accounts,
        mesh.trust_domains,
    )


def _by_locality(mesh: EnvoyMesh, node: EnvoyNode, policy: TrafficPolicy) -> Json:
    """Whether localities have weights of their own: where a rule distributes the traffic of this client's."""
    setting = policy.balancer.locality if policy.balancer is not None else None
    own = mesh.locality(node)
    if setting is None or not is_distributed(own, setting):
        return {}
    return {"common_lb_config": {"locality_weighted_lb_config": {}}}


def _nobody(name: str) -> Json:
    return {"name": name, "type": "STATIC"}


def _by_eds(name: str) -> Json:
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": BY_ADS, "service_name": name},
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
    }


def _original_destination(name: str) -> Json:
    return {
        "name": name,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": CONNECT_TIMEOUT,
    }
