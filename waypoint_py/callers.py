"""Who calls: as the tunnel proved it, and as the mesh knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.baggage import parse_baggage

if TYPE_CHECKING:
    from hbone_py.identity import SpiffeId
    from mesh_py.model.address import SocketAddress
    from mesh_py.proxy.tunnels import Incoming
    from mesh_py.telemetry.facts import Party
    from waypoint_py.context import WaypointContext


@dataclass(frozen=True, slots=True)
class Caller:
    """The client of one tunnel."""

    client: SocketAddress
    identity: SpiffeId | None
    """What policies judge by: who the client's certificate says it is."""
    party: Party | None
    """For telemetry; None where nobody knows."""
    traceparent: str = ""
    """Of the CONNECT: requests that bring none of their own join it."""

    @property
    def principal(self) -> str:
        """The proved identity as text."""
        return "" if self.identity is None else str(self.identity)


def caller_of(context: WaypointContext, tunnel: Incoming) -> Caller:
    """The client of a tunnel."""
    trace = tunnel.request.get(b"traceparent") or b""
    return Caller(tunnel.client, tunnel.identity, _party(context, tunnel), trace.decode("latin-1"))


def _party(context: WaypointContext, tunnel: Incoming) -> Party | None:
    """The workload at its address if that is who it proved to be; else what its proxy says of it."""
    workload = context.state.workloads.at(context.state.network, tunnel.client[0])
    if workload is not None and workload.identity == tunnel.identity:
        return context.parties.of(workload)
    claimed = parse_baggage(tunnel.request.all(b"baggage"))
    if claimed is None or tunnel.identity is None or claimed.namespace != tunnel.identity.namespace:
        return None
    return context.parties.claimed(claimed, str(tunnel.identity))
