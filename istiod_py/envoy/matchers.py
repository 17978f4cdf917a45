"""Envoy's matching trees that pick a filter chain, as waypoints use them [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy.connection_manager import HTTP_ALPN
from istiod_py.envoy.extension import Json, address_prefix, extension

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mesh_py.model.address import IpAddress

_INPUTS = "envoy.extensions.matching.common_inputs.network.v3"
_DESTINATION_IP = extension("ip", f"{_INPUTS}.DestinationIPInput")
_DESTINATION_PORT = extension("port", f"{_INPUTS}.DestinationPortInput")
_APPLICATION_PROTOCOL = extension("application-protocol", f"{_INPUTS}.ApplicationProtocolInput")


def chain(name: str) -> Json:
    """The filter chain of this name."""
    return {"action": extension(name, "google.protobuf.StringValue", {"value": name})}


def by_destination(rows: Iterable[tuple[Sequence[IpAddress], Json]]) -> Json:
    """A tree that asks for the destination address first; no address, no chain."""
    ranges = [
        {"ranges": [address_prefix(ip) for ip in addresses], "on_match": found}
        for addresses, found in rows
        if addresses
    ]
    matcher = extension("ip", "xds.type.matcher.v3.IPMatcher", {"range_matchers": ranges})
    return {"matcher_tree": {"input": _DESTINATION_IP, "custom_match": matcher}}


def by_port(ports: Mapping[int, Json]) -> Json:
    """Then for the destination port."""
    return _tree(_DESTINATION_PORT, {str(port): found for port, found in sorted(ports.items())})


def by_protocol(http: Json, tcp: Json) -> Json:
    """Then for what the HTTP inspector saw."""
    words = {f"'{word}'": http for word in HTTP_ALPN}
    matcher = _tree(_APPLICATION_PROTOCOL, words)
    matcher["matcher"]["on_no_match"] = tcp
    return matcher


def _tree(asked: Json, rows: Mapping[str, Json]) -> Json:
    return {"matcher": {"matcher_tree": {"input": asked, "exact_match_map": {"map": dict(rows)}}}}
