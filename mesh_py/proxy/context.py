"""What every part of one proxy shares: its workload, the mesh it knows, its certificates, its pools, its counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from hbone_py.address import is_loopback
from hbone_py.errors import HboneError
from mesh_py.model.address import parse_ip
from mesh_py.telemetry.facts import Parties

if TYPE_CHECKING:
    from hbone_py import Deadlines, Http2Config
    from hbone_py.aio.pool import Pool as PeerPool
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tcp import SocketOptions
    from mesh_py.discovery.state import MeshState
    from mesh_py.exchange.pool import Pool as HttpPool
    from mesh_py.identity.certificates import Certificates, Contexts
    from mesh_py.model.workload import Workload
    from mesh_py.proxy.directory import Directory
    from mesh_py.proxy.istio_tls import IstioTls
    from mesh_py.proxy.originate import OriginatedTls
    from mesh_py.settings.kinds import WorkloadInfo
    from mesh_py.telemetry.access_log import AccessLog
    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.telemetry.requests import RequestTelemetry
    from mesh_py.tracing.tracer import Tracer


class NoWorkload(HboneError):
    """The mesh does not know our workload."""

    flag = "-"


class ProxySettings(Protocol):
    """What the shared parts need to be told. Times are seconds."""

    @property
    def workload(self) -> WorkloadInfo:
        """Whom the proxy stands beside, or is."""

    @property
    def http2(self) -> Http2Config:
        """The tunnel's windows."""

    @property
    def deadlines(self) -> Deadlines:
        """Of connecting."""

    @property
    def socket_options(self) -> SocketOptions:
        """Of every socket."""

    @property
    def first_bytes(self) -> bool:
        """What a client of bytes says at once goes with its CONNECT."""

    @property
    def wait_awake(self) -> bool:
        """The reactor may spend short waits awake."""

    @property
    def http_pool_idle(self) -> float:
        """How long an upstream connection may be without a request."""


SettingsT_co = TypeVar("SettingsT_co", bound=ProxySettings, covariant=True)


@dataclass(slots=True)
class ProxyContext(Generic[SettingsT_co]):
    """One per process."""

    reactor: Reactor
    settings: SettingsT_co
    state: MeshState
    directory: Directory
    certificates: Certificates
    istio_tls: IstioTls
    originated: OriginatedTls
    """Of the application's own kind, where a DestinationRule wants it."""
    peers: PeerPool
    """HBONE connections."""
    http: HttpPool
    """HTTP connections."""
    metrics: Metrics
    access: AccessLog
    requests: RequestTelemetry
    own_ports: frozenset[int]
    """Where we listen: nothing is ever sent there on somebody's behalf."""
    tracer: Tracer | None = None
    """Where spans begin; None where nobody wants them."""
    parties: Parties = field(default_factory=Parties)
    dice: Random = field(default_factory=Random)
    _version: int = -1
    _workload: Workload | None = None

    @property
    def workload(self) -> Workload:
        """Whom we stand beside, or are. Raises NoWorkload while the mesh does not know it."""
        if self._version != self.state.version:
            info = self.settings.workload
            self._version = self.state.version
            self._workload = self.state.find_local_workload(info.name, info.namespace, info.service_account)
        if self._workload is None:
            raise NoWorkload(f"the mesh does not know our workload {self.settings.workload}")
        return self._workload

    def now(self) -> float:
        """Monotonic seconds."""
        return self.reactor.loop.time()

    async def contexts(self) -> Contexts:
        """What to connect and accept with. Raises CertificateUnavailable."""
        return await self.certificates.fetch(self.workload.identity)

    def source_address(self, towards: str) -> str | None:
        """Our pod's address where we must ask for it: on loopback, where each process borrows its own."""
        if not is_loopback(parse_ip(towards)):
            return None
        is_v6 = ":" in towards
        ips = self.workload.workload_ips
        own = next((ip for ip in ips if (":" in ip) is is_v6 and is_loopback(ip)), None)
        return own

    def describe(self) -> dict[str, Any]:
        """The state of the pools, for people."""
        return {"hboneConnections": len(self.peers), "httpConnections": len(self.http)}


AnyContext = ProxyContext[ProxySettings]
"""Of either kind of proxy."""
