"""The real Envoy as a pair of Istio sidecars: outbound 15001 by host and path, mutual TLS, inbound with a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, NAMESPACE, SERVER, TRUST_DOMAIN
from benchmarks.peers.base import Leg, Running
from benchmarks.peers.envoy import PROXY_PROTOCOL_PORT, REQUEST_LINE, await_ready, find_envoy, launch, version_of
from benchmarks.world import WEB_HOST, WEB_PORT
from hbone_py.identity import SpiffeId

if TYPE_CHECKING:
    from benchmarks.peers.base import Surroundings


class EnvoySidecars:
    """Envoy as it comes: nothing is switched off."""

    def start(self, given: Surroundings) -> Running:
        """Starts the inbound Envoy first, so that the outbound one finds a listener."""
        binary = find_envoy()
        values = {
            "WEB_PORT": WEB_PORT,
            "WEB_HOST": WEB_HOST,
            "SERVER_IP": given.world.server_ip,
            "APPLICATION_IP": given.world.application_ip,
            "PEER_IDENTITY": SpiffeId.of(TRUST_DOMAIN, NAMESPACE, SERVER),
        }
        inbound = launch(binary, given, "sidecar-inbound.yaml", SERVER, REQUEST_LINE, values)
        outbound = launch(binary, given, "sidecar-outbound.yaml", CLIENT, REQUEST_LINE, values)
        await_ready(given, {SERVER: inbound, CLIENT: outbound})
        legs = (Leg("mutual TLS", given.world.server_ip, WEB_PORT),)
        processes = {"outbound": outbound, "inbound": inbound}
        return Running(processes, version_of(binary), "-", legs, PROXY_PROTOCOL_PORT)
