"""The real Envoy as a pair of Istio sidecars: outbound 15001 by host and path, mutual TLS, inbound with a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, NAMESPACE, SERVER, TRUST_DOMAIN
from benchmarks.peers.base import Pair
from benchmarks.peers.envoy import PROXY_PROTOCOL_PORT, await_ready, find_envoy, launch, version_of
from benchmarks.world import WEB_HOST, WEB_PORT
from hbone_py.identity import SpiffeId

if TYPE_CHECKING:
    from benchmarks.peers.base import Surroundings

_LINE = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS%'
    ' %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED%'
    ' %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%"'
    ' "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS%'
    " %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
"""Istio's default line per request, which is ours too."""


class EnvoySidecars:
    """Envoy as it comes: nothing is switched off."""

    def start(self, given: Surroundings) -> Pair:
        """Starts the inbound Envoy first, so that the outbound one finds a listener."""
        binary = find_envoy()
        values = {
            "WEB_PORT": WEB_PORT,
            "WEB_HOST": WEB_HOST,
            "SERVER_IP": given.world.server_ip,
            "APPLICATION_IP": given.world.application_ip,
            "PEER_IDENTITY": SpiffeId.of(TRUST_DOMAIN, NAMESPACE, SERVER),
        }
        inbound = launch(binary, given, "sidecar-inbound.yaml", SERVER, _LINE, values)
        outbound = launch(binary, given, "sidecar-outbound.yaml", CLIENT, _LINE, values)
        await_ready(given, inbound, outbound)
        return Pair(outbound, inbound, version_of(binary), "-", PROXY_PROTOCOL_PORT, WEB_PORT)
