"""What every part of one sidecar shares: its workload, the mesh it knows, its certificates, its pools, its counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from hbone_py.errors import HboneError
from mesh_py.model.address import is_loopback, parse_ip
from mesh_py.telemetry.facts import Parties

if TYPE_CHECKING:
    from hbone_py.aio.pool import Pool as PeerPool
    from hbone_py.aio.reactor import Reactor
    from mesh_py.discovery.state import MeshState
    from mesh_py.exchange.pool import Pool as HttpPool
    from mesh_py.identity.certificates import Certificates, Contexts
    from mesh_py.model.workload import Workload
    from mesh_py.telemetry.access_log import AccessLog
    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.telemetry.requests import RequestTelemetry
    from sidecar_py.config import Settings
    from sidecar_py.directory import Directory
    from sidecar_py.istio_tls import IstioTls


class NoWorkload(HboneError):
    """The mesh does not know the workload we stand beside."""

    flag = "-"


@dataclass(slots=True)
class SidecarContext:
    """One per process."""

    reactor: Reactor
    settings: Settings
    state: MeshState
    directory: Directory
    certificates: Certificates
    istio_tls: IstioTls
    peers: PeerPool
    """HBONE connections."""
    http: HttpPool
    """HTTP connections."""
    metrics: Metrics
    access: AccessLog
    requests: RequestTelemetry
    own_ports: frozenset[int]
    """Where we listen: nothing is ever sent there on somebody's behalf."""
    parties: Parties = field(default_factory=Parties)
    dice: Random = field(default_factory=Random)
    _version: int = -1
    _workload: Workload | None = None

    @property
    def workload(self) -> Workload:
        """The workload we stand beside. Raises NoWorkload while the mesh does not know it."""
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
