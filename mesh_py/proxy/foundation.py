"""What the data plane of a sidecar or waypoint is built on: all that its process has before anything listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from hbone_py.aio.pool import Pool as PeerPool
from hbone_py.aio.reactor import Reactor
from mesh_py.exchange.pool import Pool as HttpPool
from mesh_py.proxy.context import ProxyContext
from mesh_py.proxy.istio_tls import IstioTls
from mesh_py.proxy.originate import OriginatedTls
from mesh_py.settings.layer7 import Layer7Settings
from mesh_py.telemetry.requests import RequestTelemetry

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from mesh_py.discovery.state import MeshState
    from mesh_py.identity.certificates import Certificates
    from mesh_py.proxy.directory import Directory
    from mesh_py.telemetry.logs import Logs
    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.tracing.tracer import Tracer

SettingsT = TypeVar("SettingsT", bound=Layer7Settings)


@dataclass(frozen=True, slots=True)
class Foundation(Generic[SettingsT]):
    """One per process."""

    settings: SettingsT
    sockets: Mapping[str, socket.socket]
    """The bound sockets of the data plane, by name as in the role's `listening`."""
    state: MeshState
    directory: Directory
    certificates: Certificates
    logs: Logs
    write: Callable[[str], None]
    """Takes the lines of requests, for the log."""
    metrics: Metrics
    tracer: Tracer | None = None

    def context(self, own_ports: frozenset[int]) -> ProxyContext[SettingsT]:
        """What the parts of the data plane share. `own_ports`: see `ProxyContext`."""
        settings, reactor = self.settings, Reactor.current()
        reactor.ledger.set_limit(settings.unread_budget)
        reactor.watch.may_linger = settings.wait_awake
        return ProxyContext(
            reactor=reactor,
            settings=settings,
            state=self.state,
            directory=self.directory,
            certificates=self.certificates,
            istio_tls=IstioTls(settings.tls),
            originated=OriginatedTls(settings.tls, settings.credentials_folder),
            peers=PeerPool(reactor, idle=settings.pool_idle),
            http=HttpPool(reactor.wheel),
            metrics=self.metrics,
            access=self.logs.access,
            requests=RequestTelemetry(self.metrics, self.logs.access, self.write, json=settings.log_json),
            own_ports=own_ports,
            tracer=self.tracer,
        )
