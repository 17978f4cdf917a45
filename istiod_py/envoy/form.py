"""How the facts of a tunnel travel inside Envoy: in today's form, and in that of Istio 1.18 [pure].

An endpoint behind a tunnel is an internal listener; where the tunnel leads is in the endpoint's metadata. Which keys
carry it, and what reads them, is the whole difference of the two forms (hbone-controlplane 9.2 to 9.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from istiod_py.envoy.extension import Json, extension
from istiod_py.envoy.names import CONNECT_AUTHORITY, HBONE_PORT, LOCAL_PRINCIPAL, ORIGINAL_DST, PEER_PRINCIPAL
from mesh_py.model.address import format_address

if TYPE_CHECKING:
    from istiod_py.envoy.mesh import EnvoyMesh, Place
    from istiod_py.envoy.node import EnvoyNode

ORIGINAL_DST_FILTER: Json = extension(ORIGINAL_DST, "envoy.extensions.filters.listener.original_dst.v3.OriginalDst")
SET_FILTER_STATE_HTTP = "envoy.extensions.filters.http.set_filter_state.v3.Config"
SET_FILTER_STATE_NETWORK = "envoy.extensions.filters.network.set_filter_state.v3.Config"


class Form(Protocol):
    """One generation of Istio."""

    name: str
    passed_on: tuple[str, ...]
    """Names of an endpoint's metadata that go with the connection into the internal listener."""

    def tunnel_metadata(self, place: Place, waypoint: Place | None) -> Json:
        """Where the tunnel to an endpoint leads; `waypoint` is who is dialled in its stead."""

    def destination_filter(self) -> Json:
        """The listener filter that makes that metadata the connection's addresses."""

    def destination_filter_inside(self) -> Json:
        """The same for `main_internal`, which gets the facts of a received CONNECT."""

    def tunneling(self, mesh: EnvoyMesh, node: EnvoyNode) -> Json:
        """What the CONNECT asks for, and its headers."""

    def dialling(self) -> Json:
        """How the cluster of tunnels finds whom to dial."""

    def tunnel_facts(self) -> list[Json]:
        """HTTP filters that hand a received CONNECT's facts to the internal listener."""

    def sends_to_waypoints(self) -> bool:
        """Whether sidecars tunnel to the waypoint of a workload, not to the workload."""

    def service_chain(self, port: int, protocol: str, hostname: str) -> str:
        """The name of a waypoint's cluster and filter chain for a service's port."""


class Today:
    """Stock filters only: a stock Envoy understands all of it."""

    name = "today"
    passed_on: tuple[str, ...] = (ORIGINAL_DST, "istio")

    def tunnel_metadata(self, place: Place, waypoint: Place | None) -> Json:
        facts = {"local": format_address(place.ip, place.port)}
        if waypoint is not None:
            facts["waypoint"] = format_address(waypoint.ip, waypoint.port)
        return {ORIGINAL_DST: facts}

    def destination_filter(self) -> Json:
        return ORIGINAL_DST_FILTER

    def destination_filter_inside(self) -> Json:
        return ORIGINAL_DST_FILTER

    def tunneling(self, mesh: EnvoyMesh, node: EnvoyNode) -> Json:
        return {"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"}

    def dialling(self) -> Json:
        return {
            "original_dst_lb_config": {
                "upstream_port_override": HBONE_PORT,
                "metadata_key": {"key": ORIGINAL_DST, "path": [{"key": "waypoint"}]},
            }
        }

    def tunnel_facts(self) -> list[Json]:
        return [extension("connect_authority", SET_FILTER_STATE_HTTP, {"on_request_headers": list(_CONNECT_FACTS)})]

    def sends_to_waypoints(self) -> bool:
        return False

    def service_chain(self, port: int, protocol: str, hostname: str) -> str:
        return f"inbound-vip|{port}|{protocol}|{hostname}"


def _shared(key: str, text: str, factory: str = "") -> Json:
    """A value of filter state that goes with the request into the next internal listener, once."""
    named = {"factory_key": factory} if factory else {}
    format_string = {"text_format_source": {"inline_string": text}}
    return {"object_key": key, **named, "format_string": format_string, "shared_with_upstream": "ONCE"}


# Hashable, so that a connection into the internal listener that was made for one client never serves another:
# a plain `envoy.string` would be no part of the pool's key. Istio's own factory is `istio.hashable_string`.
_HASHABLE = "envoy.hashable_string"

_CONNECT_FACTS = (
    _shared(f"{ORIGINAL_DST}.local_ip", "%REQ(:AUTHORITY)%"),
    _shared(f"{ORIGINAL_DST}.remote_ip", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    _shared(CONNECT_AUTHORITY, "%REQ(:AUTHORITY)%", _HASHABLE),
    _shared(PEER_PRINCIPAL, "%DOWNSTREAM_PEER_URI_SAN%", _HASHABLE),
    _shared(LOCAL_PRINCIPAL, "%DOWNSTREAM_LOCAL_URI_SAN%", _HASHABLE),
)

KEEP_DESTINATION: Json = extension(
    "connect_authority",
    SET_FILTER_STATE_NETWORK,
    {"on_new_connection": [_shared(f"{ORIGINAL_DST}.local_ip", "%DOWNSTREAM_LOCAL_ADDRESS%")]},
)
"""Network filter: the destination goes on into the next internal listener, though what is shared once was spent."""

TODAY = Today()
