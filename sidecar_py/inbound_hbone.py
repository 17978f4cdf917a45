"""15008: HBONE to the application. A tunnel's bytes are served as those of 15006 are, less the mutual TLS, which the
tunnel was (hbone-controlplane 9.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.discovery.inbound import find_inbound_upstream, parse_authority, validate_destination
from mesh_py.http.detect import Protocol
from mesh_py.proxy.detection import detect_protocol
from sidecar_py.inbound import Caller

if TYPE_CHECKING:
    from mesh_py.proxy.tunnels import Incoming
    from sidecar_py.inbound import Inbound


class InboundHbone:
    """Serves tunnels to our workload."""

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound

    async def serve(self, tunnel: Incoming) -> None:
        """Understand, judge, answer, serve. Where requests are expected the 200 comes at once, else the application
        is connected to first: requests then go by that connection."""
        inbound = self._inbound
        workload, timeouts = inbound.context.workload, inbound.context.settings.timeouts
        caller = self._understand(tunnel)
        if inbound.http_of(caller.local[1]) is not None or inbound.rules.are_about_requests(workload):
            tunnel.accept()
            found = await detect_protocol(tunnel.stream, timeouts.detection)
            await inbound.serve_inside(tunnel.stream, caller, found)
            return
        inbound.rules.judge_layer_4(workload, caller.client, caller.local, caller.identity)
        upstream = await inbound.connect_application(caller.local)
        tunnel.accept()
        found = await detect_protocol(tunnel.stream, timeouts.detection)
        if found.protocol in (Protocol.HTTP1, Protocol.HTTP2):
            inbound.hand_over(upstream, caller.local, http2=found.protocol is Protocol.HTTP2)
            await inbound.serve_http(tunnel.stream, caller, found.protocol)
            return
        await inbound.carry(tunnel.stream, upstream, caller, inbound.begin_bytes(caller))

    def _understand(self, tunnel: Incoming) -> Caller:
        """Raises MeshError where it asks for what is not ours."""
        context = self._inbound.context
        workload, local_ip = context.workload, tunnel.local[0]
        authority = parse_authority(tunnel.request.authority)
        validate_destination(context.state, local_ip, workload, authority)
        upstream = find_inbound_upstream(context.state, local_ip, workload, authority, context.own_ports)
        trace = tunnel.request.get(b"traceparent") or b""
        return Caller(tunnel.client, upstream.address, tunnel.identity, traceparent=trace.decode("latin-1"))
