"""How a chosen endpoint is reached: plain TCP, Istio's mutual TLS, or HBONE, and by whom the tunnel ends [pure].

The order is istiod's (hbone-controlplane 9.2): Istio's mutual TLS to who has a sidecar, unless HBONE is preferred and
taken; else HBONE, through a waypoint where there is one and the form says so; else plain TCP.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hbone_py.address import format_address
from mesh_py.discovery.resolve import HBONE_PORT
from mesh_py.discovery.waypoint import find_waypoint, pick_waypoint
from mesh_py.manifests.client_tls import TlsMode
from mesh_py.model.address import IpAddress, is_ipv6
from mesh_py.model.errors import NoRoutingDestination
from mesh_py.model.workload import Protocol

if TYPE_CHECKING:
    from hbone_py.identity import SpiffeId
    from mesh_py.discovery.load_balance import Upstream
    from mesh_py.discovery.state import MeshState
    from mesh_py.manifests.client_tls import ClientTls
    from mesh_py.model.address import GatewayAddress, SocketAddress
    from mesh_py.model.route import Random
    from mesh_py.model.workload import Service, Workload

Expected = tuple["SpiffeId", ...]


@dataclass(frozen=True, slots=True)
class Plain:
    """TCP as it is."""

    address: SocketAddress


@dataclass(frozen=True, slots=True)
class MutualTls:
    """Istio's mutual TLS with the sidecar at the address."""

    address: SocketAddress
    server_name: str
    """SNI: `outbound_.PORT_._.HOST` of the service, as Istio writes it; empty for a workload called by itself."""
    expect: Expected

    def __hash__(self) -> int:
        return hash((self.address, self.server_name))  # of what differs: asked for with every request


@dataclass(frozen=True, slots=True)
class Hbone:
    """A tunnel to `authority`, which ends at `next_hop`."""

    next_hop: SocketAddress
    authority: str
    expect: Expected
    is_waypoint: bool = False

    def __hash__(self) -> int:
        return hash((self.next_hop, self.authority))


@dataclass(frozen=True, slots=True)
class Secured:
    """TLS of the application's own kind, which we begin on another way: a DestinationRule wants it."""

    way: Plain | Hbone
    tls: ClientTls
    server_name: str
    """SNI: the rule's, else the host that the client meant."""
    names: tuple[str, ...] = ()
    """Of which the server's certificate must have one; empty: the server name."""

    def __hash__(self) -> int:
        return hash((self.way, self.server_name))

    @property
    def expect(self) -> tuple[str, ...]:
        """Names of the server; empty where anybody will do."""
        return () if self.tls.insecure_skip_verify else self.names or (self.server_name,)

    def meaning(self, host: str) -> Secured:
        """The same for a request that names a host, which is asked for where the rule names nobody."""
        return self if self.tls.sni or not host or host == self.server_name else replace(self, server_name=host)


Way = Plain | MutualTls | Hbone | Secured


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of those that can serve, and how it is reached. Equal for equal ways: pools are keyed by it."""

    way: Way
    workload: Workload | None = field(default=None, compare=False)
    """Who is there, if the mesh knows."""

    @property
    def is_mutual_tls(self) -> bool:
        """Whether both sides prove who they are."""
        return not isinstance(self.carrier, Plain)

    @property
    def carrier(self) -> Plain | MutualTls | Hbone:
        """The way, without TLS that we begin on it."""
        return self.way.way if isinstance(self.way, Secured) else self.way

    @property
    def address(self) -> SocketAddress:
        """Where TCP goes."""
        carrier = self.carrier
        return carrier.next_hop if isinstance(carrier, Hbone) else carrier.address

    def secured(self, tls: ClientTls, service: Service) -> Endpoint:
        """With TLS of the application's kind. A waypoint on the way follows the rule itself, and begins it there."""
        carrier = self.carrier
        if isinstance(carrier, MutualTls) or (isinstance(carrier, Hbone) and carrier.is_waypoint):
            return self
        names = tls.subject_alt_names or service.subject_alt_names
        return replace(self, way=Secured(carrier, tls, tls.sni or service.hostname, tuple(names)))


@dataclass(frozen=True, slots=True)
class WayRules:
    """The switches (`WAYPOINT_FORM`, `PREFER_SENDING_HBONE`)."""

    waypoint_form: str = "post"
    prefers_hbone: bool = False
    speaks_istio: bool | None = None
    """Istio's mutual TLS to who takes no HBONE: None to those who have a sidecar, else to all or to none."""
    may_insist: bool = True
    """Whether a DestinationRule may ask for it where nobody says that there is a sidecar: not of a waypoint (9.5)."""

    def heeding(self, mode: TlsMode | None) -> WayRules:
        """With what a DestinationRule says of TLS. A tunnel stays one: most modes are about what is said inside."""
        if mode in (TlsMode.DISABLE, TlsMode.SIMPLE, TlsMode.MUTUAL):
            return replace(self, speaks_istio=False)
        if mode is TlsMode.ISTIO_MUTUAL and self.may_insist:
            return replace(self, speaks_istio=True)
        return self

    def leaves_routes_to_waypoint(self, service: Service) -> bool:
        """Whether a service's routes are for its waypoint alone: applied here they would count twice, or lead around
        it to backends that have none."""
        return self.waypoint_form != "today" and bool(service.waypoint or service.weighted_waypoints)


def way_to(
    state: MeshState,
    source: Workload,
    upstream: Upstream,
    asked: SocketAddress | None,
    service_port: int,
    rules: WayRules,
    random: Random,
) -> Endpoint:
    """How `source` reaches an upstream.

    Args:
        asked: the virtual address and port that the client meant, where it meant a service.
        service_port: its port, or the workload's own.

    Raises:
        RouteError: there is no way: no address, or a waypoint that cannot be found. Nothing goes around a waypoint.
    """
    workload = upstream.workload
    ip = _address_of(workload, asked)
    direct = (ip, upstream.port)
    takes_hbone = workload.protocol is Protocol.HBONE
    has_sidecar = workload.mutual_tls and rules.speaks_istio is not False
    if has_sidecar and not (rules.prefers_hbone and takes_hbone):
        return Endpoint(MutualTls(direct, _server_name(upstream, service_port), upstream.expect), workload)
    gateway = _waypoint_of(upstream, rules, random)
    if gateway is not None:
        return Endpoint(_through(state, source, gateway, direct, asked, rules, random), workload)
    if takes_hbone:
        return Endpoint(Hbone((ip, HBONE_PORT), format_address(*direct), upstream.expect), workload)
    if rules.speaks_istio:
        return Endpoint(MutualTls(direct, _server_name(upstream, service_port), upstream.expect), workload)
    return Endpoint(Plain(direct), workload)


def _waypoint_of(upstream: Upstream, rules: WayRules, random: Random) -> GatewayAddress | None:
    """The service's waypoint, or the workload's own; none for who goes straight to pods, as today's sidecars do."""
    if rules.waypoint_form == "today":
        return None
    found = None if upstream.service is None else pick_waypoint(upstream.service, random)
    return found or upstream.workload.waypoint


def _through(
    state: MeshState,
    source: Workload,
    gateway: GatewayAddress,
    direct: SocketAddress,
    asked: SocketAddress | None,
    rules: WayRules,
    random: Random,
) -> Hbone:
    waypoint = find_waypoint(state, source, gateway, random)
    ip = _address_of(waypoint.workload, direct)
    wanted = asked if rules.waypoint_form == "service" and asked is not None else direct
    return Hbone((ip, waypoint.port), format_address(*wanted), waypoint.expect, is_waypoint=True)


def _server_name(upstream: Upstream, port: int) -> str:
    return "" if upstream.service is None else f"outbound_.{port}_._.{upstream.service.hostname}"


def _address_of(workload: Workload, wanted: SocketAddress | None) -> IpAddress:
    """The address of the family that was asked for, else the first; the host name of who is known by name only."""
    ips = workload.workload_ips
    if not ips:
        if not workload.hostname:
            raise NoRoutingDestination(workload.uid)
        return IpAddress(workload.hostname)  # looked up by whoever connects
    if wanted is None:
        return ips[0]
    if wanted[0] in ips:
        return wanted[0]
    return next((ip for ip in ips if is_ipv6(ip) is is_ipv6(wanted[0])), ips[0])
