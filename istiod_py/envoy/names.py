"""Names of listeners, clusters, routes and secrets, as istiod gives them (hbone-controlplane 9) [pure].

Tools that read an Envoy's configuration know these names, and so do people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.address import format_address

if TYPE_CHECKING:
    from mesh_py.model.address import IpAddress

VIRTUAL_OUTBOUND = "virtualOutbound"
VIRTUAL_INBOUND = "virtualInbound"
CONNECT_ORIGINATE = "connect_originate"
CONNECT_TERMINATE = "connect_terminate"
MAIN_INTERNAL = "main_internal"
ENCAP = "encap"
"""The waypoint's cluster for traffic that was addressed to a workload, not to a service."""
PASSTHROUGH = "PassthroughCluster"
BLACK_HOLE = "BlackHoleCluster"
INBOUND_PASSTHROUGH = "InboundPassthroughCluster"
UNKNOWN_SERVICE = "UnknownService"
"""What routes name in place of a backend that is not there."""
HTTP_PROXY_ROUTE = "http_proxy"

IDENTITY_SECRET = "default"
ROOTS_SECRET = "ROOTCA"

OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
HBONE_PORT = 15008
OWN_PORTS = frozenset({OUTBOUND_PORT, INBOUND_PORT, HBONE_PORT})
"""A sidecar listens on these on every address, so no listener for a service's port may."""

PEER_PRINCIPAL = "io.istio.peer_principal"
"""Filter state: the SPIFFE URI of the client at the other end of the tunnel."""
TUNNEL_CLIENT = "envoy.filters.listener.original_dst.remote_ip"
"""Filter state: the address of that client."""
TUNNEL_DESTINATION = "envoy.filters.listener.original_dst.local_ip"
"""Filter state: what the tunnel is for."""
LOCAL_PRINCIPAL = "io.istio.local_principal"
CONNECT_AUTHORITY = "io.istio.connect_authority"
ORIGINAL_DST = "envoy.filters.listener.original_dst"
"""Metadata and filter state that the listener filter of this name turns into a connection's addresses."""


def outbound(port: int, hostname: str, subset: str = "") -> str:
    """The cluster of a service's port or of a subset there, for clients of it."""
    return f"outbound|{port}|{subset}|{hostname}"


def inbound(port: int) -> str:
    """The cluster of a port of the proxy's own application, and its route."""
    return f"inbound|{port}||"


def inbound_vip(port: int, protocol: str, hostname: str, subset: str = "") -> str:
    """A waypoint's cluster and filter chain for a service's port; `protocol` is `http` or `tcp`."""
    return f"inbound-vip|{port}|{protocol}{f'/{subset}' if subset else ''}|{hostname}"


def virtual_listener(address: str, port: int) -> str:
    """A listener that binds nothing: connections for its address come from virtualOutbound."""
    return f"{address}_{port}"


def server_name(port: int, hostname: str, subset: str = "") -> str:
    """The TLS server name between sidecars."""
    return f"outbound_.{port}_.{subset}_.{hostname}"


def endpoint_id(ip: IpAddress, port: int) -> str:
    """What tells the endpoints behind one internal listener apart."""
    return format_address(ip, port)
