"""Three real Envoys in a row: Istio's sidecar that speaks HBONE, Istio's waypoint, and the end of the tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, SERVER, WAYPOINT
from benchmarks.peers.base import Leg, Running
from benchmarks.peers.envoy import (
    DEFAULT_WINDOWS,
    PROXY_PROTOCOL_PORT,
    REQUEST_LINE,
    TUNNEL_LINE,
    await_ready,
    find_envoy,
    launch,
    version_of,
)
from benchmarks.world import WEB_HOST, WEB_PORT

if TYPE_CHECKING:
    from benchmarks.peers.base import Surroundings


class EnvoyChain:
    """Envoy as it comes: nothing is switched off."""

    def start(self, given: Surroundings) -> Running:
        """Starts the last one first, so that each finds a listener."""
        binary, world = find_envoy(), given.world
        windows = {"STREAM_WINDOW": DEFAULT_WINDOWS.stream, "CONNECTION_WINDOW": DEFAULT_WINDOWS.connection}
        values = {
            "WEB_PORT": WEB_PORT,
            "WEB_HOST": WEB_HOST,
            "SERVER_IP": world.server_ip,
            "WAYPOINT_IP": world.waypoint_ip,
            "SERVICE_IP": world.service_ip,
        }
        node = launch(binary, given, "envoy-server.yaml", SERVER, TUNNEL_LINE, windows)
        waypoint = launch(binary, given, "chain-waypoint.yaml", WAYPOINT, REQUEST_LINE, values)
        sidecar = launch(binary, given, "chain-sidecar.yaml", CLIENT, REQUEST_LINE, values)
        await_ready(given, {SERVER: node, WAYPOINT: waypoint, CLIENT: sidecar})
        return Running(
            {"sidecar": sidecar, "waypoint": waypoint, "node": node},
            version_of(binary),
            str(DEFAULT_WINDOWS),
            (Leg("to the waypoint", world.waypoint_ip), Leg("to the node proxy", world.server_ip)),
            PROXY_PROTOCOL_PORT,
        )
