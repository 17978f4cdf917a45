"""Where a captured connection goes: the answer of `mesh_py.discovery.resolve` [pure].

Three kinds can be carried out as they are. `ByName` stands in front of them where the next hop is known by
its DNS name only: the caller looks the name up and asks again with the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesh_py.model.address import IpAddress, SocketAddress, is_ipv6
from mesh_py.model.errors import EmptyResolvedAddresses, NoResolvedAddresses

if TYPE_CHECKING:
    from hbone_py.identity import SpiffeId
    from mesh_py.model.workload import Service, Workload

Random = Callable[[], float]
"""A number from 0 up to but not including 1, uniformly spread."""


@dataclass(frozen=True, slots=True)
class Direct:
    """Plain TCP."""

    next_hop: SocketAddress
    workload: Workload | None = None
    """Who is there, if the mesh knows; for telemetry."""
    service: Service | None = None
    """What was asked for, if a service."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One HBONE tunnel: to the workload itself, or to its waypoint."""

    next_hop: SocketAddress
    authority: str
    """What CONNECT asks for: `ip:port`, brackets around IPv6."""
    expect: tuple[SpiffeId, ...]
    """Who may be at `next_hop`, any one of them. The order is part of a pool's key."""
    workload: Workload
    """Who is at `next_hop`."""
    service: Service | None = None


@dataclass(frozen=True, slots=True)
class NestedTunnel:
    """A tunnel in a tunnel, through the gateway of another network ("double HBONE", hbone-dataplane 2.8)."""

    next_hop: SocketAddress
    authority: str
    """`hostname:port` of the service, asked for by both CONNECTs."""
    outer_expect: tuple[SpiffeId, ...]
    """Who may be the gateway."""
    inner_expect: tuple[SpiffeId, ...]
    """Who may be behind it: the service's names only. Empty matches nobody, and the connection fails."""
    workload: Workload
    """The gateway, until the inner answer tells more."""
    service: Service


@dataclass(frozen=True, slots=True)
class ByName:
    """The next hop is `hostname`: resolve it (A and AAAA), then call `choose` with all answers."""

    hostname: str
    ipv6: bool
    """The family the caller used: answers of that family go first."""
    workload: Workload
    at: Callable[[IpAddress], Direct | Tunnel | NestedTunnel] = field(compare=False, repr=False)
    """The route once the address is known."""

    def choose(self, answers: Sequence[IpAddress], random: Random) -> Direct | Tunnel | NestedTunnel:
        """The route to one of the answers, by chance among those of the caller's family, else among the rest.

        Raises:
            EmptyResolvedAddresses: the lookup worked and gave no address.
        """
        same = [ip for ip in answers if is_ipv6(ip) is self.ipv6]
        candidates = same or answers
        if not candidates:
            raise EmptyResolvedAddresses(self.workload.uid)
        return self.at(candidates[int(random() * len(candidates))])

    def failed(self) -> NoResolvedAddresses:
        """The error to raise when the lookup itself failed."""
        return NoResolvedAddresses(self.workload.uid)


Route = Direct | Tunnel | NestedTunnel | ByName
