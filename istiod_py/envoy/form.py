"""How the facts of a tunnel travel inside Envoy, which differs from one generation of Istio to the next [pure].

An endpoint behind a tunnel is an internal listener; where the tunnel leads is in the endpoint's metadata. Which keys
carry it, and what reads them, is the difference (hbone-controlplane 9.2 to 9.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from istiod_py.envoy.extension import Json
    from istiod_py.envoy.mesh import EnvoyMesh, Place
    from istiod_py.envoy.node import EnvoyNode


class Form(Protocol):
    """One generation."""

    name: str
    passed_on: tuple[str, ...]
    """Names of an endpoint's metadata that go with the connection into the internal listener."""
    sends_to_waypoints: bool
    """Whether sidecars tunnel to the waypoint of a workload, not to the workload."""

    def sends_hbone(self, node: EnvoyNode) -> bool:
        """Whether a proxy opens tunnels."""

    def tunnel_metadata(self, place: Place, waypoint: Place | None) -> Json:
        """Where the tunnel to an endpoint leads; `waypoint` is who is dialled in its stead."""

    def destination_filter(self) -> Json:
        """The listener filter that makes those facts the connection's addresses."""

    def keep_destination(self) -> Json:
        """The network filter that hands a connection's destination on to the next internal listener."""

    def tunneling(self, mesh: EnvoyMesh, node: EnvoyNode) -> Json:
        """What the CONNECT asks for, and its headers."""

    def originate_fields(self) -> Json:
        """How the cluster of tunnels finds whom to dial, and other fields of its own."""

    def originate_options(self) -> Json:
        """Options of its HTTP connections beside HTTP/2's."""

    def terminate_network_filters(self) -> list[Json]:
        """Network filters in front of the one that takes CONNECTs."""

    def terminate_http_filters(self) -> list[Json]:
        """HTTP filters that hand a received CONNECT's facts to the internal listener."""

    def terminate_host_fields(self) -> Json:
        """What they need to be told where the CONNECT is routed."""

    def service_chain(self, port: int, protocol: str, hostname: str) -> str:
        """The name of a waypoint's filter chain for a service's port; `protocol` is `http` or `tcp`."""
