"""Why the mesh refuses a connection: each with its status and log text (hbone-dataplane 1.5, 2) [pure].

`status` answers a CONNECT; an outbound connection is closed instead.
"""

from __future__ import annotations

from hbone_py.errors import HboneError


class MeshError(HboneError):
    """Base of the mesh's own refusals."""


class RouteError(MeshError):
    """An outbound connection has no route. It is closed and logged, and no metric counts it (2.9)."""

    flag = "-"


class NoHealthyUpstream(RouteError):
    """A service is known at the address, and none of its endpoints can serve."""

    def __init__(self, target: str) -> None:
        super().__init__(f"no healthy upstream: {target}")


class NoService(RouteError):
    """A workload of another network was addressed without naming a service."""

    def __init__(self, target: str) -> None:
        super().__init__(f"no service for target address: {target}")


class UnknownWaypoint(RouteError):
    """The destination has a waypoint that cannot be found; going around it is not an option."""

    def __init__(self, waypoint: str) -> None:
        super().__init__(f"unknown waypoint: waypoint {waypoint} not found")


class UnknownNetworkGateway(RouteError):
    """The gateway into the destination's network cannot be found."""

    def __init__(self, gateway: str) -> None:
        super().__init__(f"unknown network gateway: network gateway {gateway} not found")


class NoRoutingDestination(RouteError):
    """The workload has no address, no host name and no gateway."""

    def __init__(self, workload: str) -> None:
        super().__init__(f"no valid routing destination for workload: {workload}")


class NoResolvedAddresses(RouteError):
    """The DNS lookup for a workload known by name failed."""

    def __init__(self, uid: str) -> None:
        super().__init__(f"no ip addresses were resolved for workload: {uid}")


class EmptyResolvedAddresses(RouteError):
    """The DNS lookup for a workload known by name worked and gave no address."""

    def __init__(self, uid: str) -> None:
        super().__init__(f"ip addresses were resolved for workload {uid}, but valid dns response had no A/AAAA records")


class SelfCall(RouteError):
    """The connection would come back to the proxy itself (2.1, 3.4, 4.1)."""

    def __init__(self) -> None:
        super().__init__("attempted recursive call to ourselves")


class IpMismatch(MeshError):
    """A tunnel asks for an address that is not ours to serve (3.3)."""

    status = 400
    blame = "peer"

    def __init__(self, local: str, asked: str) -> None:
        super().__init__(f"ip mismatch: {local} != {asked}")


class NoHostname(MeshError):
    """A tunnel asks for a service nobody knows (3.4)."""

    def __init__(self, hostname: str) -> None:
        super().__init__(f"no service or workload for hostname: {hostname}")


class NoPortForService(MeshError):
    """A tunnel asks for a port the service does not lead to the workload (3.4)."""

    def __init__(self, hostname: str, port: int) -> None:
        super().__init__(f"requested service {hostname}:{port} found, but cannot resolve port")


class NoIpForService(MeshError):
    """A service without addresses cannot be named in a PROXY header (3.5)."""

    def __init__(self, hostname: str) -> None:
        super().__init__(f"requested service {hostname} found, but has no IP addresses")


class BadAuthority(MeshError):
    """The authority of a CONNECT is neither `ip:port` nor `hostname:port` (1.4)."""

    status = 400
    blame = "peer"

    def __init__(self, authority: str) -> None:
        super().__init__(f"no valid authority pseudo header: {authority}")


class PolicyDenied(MeshError):
    """Policy refuses the connection (3.7). `reason` is the verdict's."""

    status = 401
    flag = "DENY"
    blame = "policy"

    def __init__(self, reason: str) -> None:
        super().__init__(f"connection closed due to policy rejection: {reason}")
        self.reason = reason


class PolicyChanged(MeshError):
    """A policy that came later ended an open connection (3.8)."""

    status = 401
    flag = "DENY"
    blame = "policy"

    def __init__(self) -> None:
        super().__init__("connection closed due to policy change")
