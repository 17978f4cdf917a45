"""What filters know of a request beside its head, and leave behind [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hbone_py.identity import SpiffeId
    from mesh_py.model.address import IpAddress
    from mesh_py.model.route import Random

_NO_CLAIMS: Mapping[str, Any] = {}


class StreamInfo:
    """A filter may read all of it, and write what is said to be written."""

    __slots__ = (
        "attributes",
        "claims",
        "clock",
        "destination_ip",
        "destination_port",
        "details",
        "flags",
        "identity",
        "notes",
        "random",
        "reached",
        "remote_ip",
        "route",
        "service",
        "sni",
        "source_ip",
    )

    def __init__(
        self,
        source_ip: IpAddress,
        destination_ip: IpAddress,
        destination_port: int,
        clock: Callable[[], float],
        random: Random,
        identity: SpiffeId | None = None,
        remote_ip: IpAddress | None = None,
        sni: str = "",
        service: str = "",
    ) -> None:
        self.source_ip = source_ip
        """The peer of the connection; at a waypoint the tunnel's client."""
        self.destination_ip, self.destination_port = destination_ip, destination_port
        self.clock = clock
        """Seconds since the epoch."""
        self.random = random
        self.identity = identity
        """Who the client proved to be."""
        self.remote_ip = remote_ip
        """The original client, where proxies in front are trusted; None: the same as `source_ip`."""
        self.sni = sni
        self.service = service
        """`namespace/hostname` of the service that was asked for; empty where it is none."""
        self.route = ""
        """The route that was chosen, once it is."""
        self.claims = _NO_CLAIMS
        """Of a token that was checked. Written by the token filter."""
        self.flags: list[str] = []
        """Response flags for the access log. To be written."""
        self.details = ""
        """Response code details for the access log. To be written."""
        self.notes: list[str] = []
        """Lines for the log: audits, dry runs. To be written."""
        self.attributes: dict[str, Any] = {}
        """For filters to leave things to one another, and from request to response."""
        self.reached = 0
        """How many filters have seen the request. The chain's to write."""
