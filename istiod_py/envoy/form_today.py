"""Today's form: filters of stock Envoy, facts in `envoy.filters.listener.original_dst` [pure].

Where Istio has a filter of its own, the nearest stock one stands here:

- `istio.hashable_string` keeps filter state that is part of a connection pool's key: `envoy.hashable_string`;
- the filters of peer metadata and telemetry (`waypoint_downstream_peer_metadata` and others): left out;
- `istio.alpn`, which chooses ALPN by request: the ALPN of each cluster (`tls.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.address import format_address
from istiod_py.envoy.extension import Json, extension
from istiod_py.envoy.names import (
    CONNECT_AUTHORITY,
    HBONE_PORT,
    LOCAL_PRINCIPAL,
    ORIGINAL_DST,
    PEER_PRINCIPAL,
    TUNNEL_CLIENT,
    TUNNEL_DESTINATION,
    inbound_vip,
)

if TYPE_CHECKING:
    from istiod_py.envoy.mesh import EnvoyMesh, Place
    from istiod_py.envoy.node import EnvoyNode

IDLE_SECONDS = 3600
"""After which a connection without tunnels is closed."""

ORIGINAL_DST_FILTER: Json = extension(ORIGINAL_DST, "envoy.extensions.filters.listener.original_dst.v3.OriginalDst")
SET_FILTER_STATE_HTTP = "envoy.extensions.filters.http.set_filter_state.v3.Config"
SET_FILTER_STATE_NETWORK = "envoy.extensions.filters.network.set_filter_state.v3.Config"


def _shared(key: str, text: str, factory: str = "") -> Json:
    """A value of filter state that goes with the request into the next internal listener, and no further."""
    named = {"factory_key": factory} if factory else {}
    format_string = {"text_format_source": {"inline_string": text}}
    return {"object_key": key, **named, "format_string": format_string, "shared_with_upstream": "ONCE"}


# Hashable, so that a connection into the internal listener that was made for one client never serves another:
# a plain `envoy.string` would be no part of the pool's key.
_HASHABLE = "envoy.hashable_string"

_CONNECT_FACTS = (
    _shared(TUNNEL_DESTINATION, "%REQ(:AUTHORITY)%"),
    _shared(TUNNEL_CLIENT, "%DOWNSTREAM_REMOTE_ADDRESS%"),
    _shared(CONNECT_AUTHORITY, "%REQ(:AUTHORITY)%", _HASHABLE),
    _shared(PEER_PRINCIPAL, "%DOWNSTREAM_PEER_URI_SAN%", _HASHABLE),
    _shared(LOCAL_PRINCIPAL, "%DOWNSTREAM_LOCAL_URI_SAN%", _HASHABLE),
)


class Today:
    """What `form.Form` asks."""

    name = "today"
    passed_on: tuple[str, ...] = (ORIGINAL_DST, "istio")
    sends_to_waypoints = False

    def sends_hbone(self, node: EnvoyNode) -> bool:
        return node.sends_hbone

    def tunnel_metadata(self, place: Place, waypoint: Place | None) -> Json:
        facts = {"local": format_address(place.ip, place.port)}
        if waypoint is not None:
            facts["waypoint"] = format_address(waypoint.ip, waypoint.port)
        return {ORIGINAL_DST: facts}

    def destination_filter(self) -> Json:
        return ORIGINAL_DST_FILTER

    def keep_destination(self) -> Json:
        # What was shared once is spent by now.
        state = {"on_new_connection": [_shared(TUNNEL_DESTINATION, "%DOWNSTREAM_LOCAL_ADDRESS%")]}
        return extension("connect_authority", SET_FILTER_STATE_NETWORK, state)

    def tunneling(self, mesh: EnvoyMesh, node: EnvoyNode) -> Json:
        return {"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"}

    def originate_fields(self) -> Json:
        waypoint = {"key": ORIGINAL_DST, "path": [{"key": "waypoint"}]}
        return {
            "cleanup_interval": "60s",
            "original_dst_lb_config": {"upstream_port_override": HBONE_PORT, "metadata_key": waypoint},
        }

    def originate_options(self) -> Json:
        return {"common_http_protocol_options": {"idle_timeout": f"{IDLE_SECONDS}s"}}

    def terminate_network_filters(self) -> list[Json]:
        return []

    def terminate_http_filters(self) -> list[Json]:
        return [extension("connect_authority", SET_FILTER_STATE_HTTP, {"on_request_headers": list(_CONNECT_FACTS)})]

    def terminate_host_fields(self) -> Json:
        return {}

    def service_chain(self, port: int, protocol: str, hostname: str) -> str:
        return inbound_vip(port, protocol, hostname)


TODAY = Today()
