"""What every part of one proxy process shares: the mesh it knows, its certificates, its counters and its log."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from hbone_py.baggage import Baggage
from hbone_py.connect import traceparent
from hbone_py.errors import HboneError
from hbone_py.header_blocks import literal, text
from mesh_py.model.address import is_loopback, parse_ip
from ztunnel_py.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.aio.wheel import Timer
    from mesh_py.discovery.state import MeshState
    from mesh_py.identity.store import CertificateStore
    from mesh_py.model.workload import Workload
    from mesh_py.telemetry.access_log import AccessLog
    from mesh_py.telemetry.facts import Parties
    from mesh_py.telemetry.metrics import Metrics
    from ztunnel_py.config import Settings


_FORWARDED = b"\x00\x09forwarded"
_TRACEPARENT = b"\x00\x0btraceparent\x37"  # its value always has 55 characters


class NotOurWorkload(HboneError):
    """A connection from, or to, an address that is no workload of this proxy."""

    flag = "-"


@dataclass(slots=True)
class ProxyContext:
    """One per process. `illegal_ports` are the proxy's own: nothing is ever sent there on somebody's behalf."""

    reactor: Reactor
    settings: Settings
    state: MeshState
    certificates: CertificateStore
    metrics: Metrics
    access: AccessLog
    parties: Parties
    illegal_ports: frozenset[int]
    connections: Connections = field(default_factory=Connections)
    preserves_source: bool = False
    """We may connect to applications with the client's own address (3.6)."""
    is_draining: bool = False
    _dice: Random = field(default_factory=Random)

    def source_workload(self, client: SocketAddress, *, by_socks: bool = False) -> Workload | None:
        """The workload of ours that a captured connection comes from."""
        if self.settings.workload is not None:
            return self.dedicated_workload()
        if by_socks and self.settings.socks_as is not None and client[0] == "127.0.0.1":
            namespace, _, name = self.settings.socks_as.partition("/")
            for workload in self.state.workloads:
                if workload.name == name and workload.namespace == namespace and self.state.is_local(workload):
                    return workload
            return None
        return self.state.find_local_address(client[0])  # type: ignore[arg-type]

    def destination_workload(self, local: SocketAddress) -> Workload | None:
        """The workload of ours that a connection reaches at `local`."""
        if self.settings.workload is not None:
            return self.dedicated_workload()
        return self.state.find_local_address(local[0])  # type: ignore[arg-type]

    def dedicated_workload(self) -> Workload | None:
        """Dedicated mode: the one workload, once discovery knows it."""
        info = self.settings.workload
        if info is None:
            return None
        return self.state.find_local_workload(info.name, info.namespace, info.service_account)

    def source_address(self, wanted: str) -> str | None:
        """The address to connect from on behalf of `wanted`; None for our own (hbone-dataplane 3.6).

        On loopback anybody may borrow an address; elsewhere it takes the right to be transparent, or replies would
        never find us.
        """
        if self.settings.preserve_source is False:
            return None
        return wanted if self.preserves_source or is_loopback(parse_ip(wanted)) else None

    def forwarded_and_trace(self, client: str, tail: bytes) -> bytes:
        """The headers of a CONNECT that differ each time, encoded: forwarded, traceparent (hbone-dataplane 1.4)."""
        value = b'for="%b"%b' % (client.encode("ascii"), tail)
        dice = self._dice.getrandbits
        return b"".join((_FORWARDED, text(value), _TRACEPARENT, traceparent(dice(128), dice(64)).encode("ascii")))

    def response_headers(self, workload: Workload) -> bytes:
        """What goes with a 200: the destination's baggage, unless it is switched off."""
        if not self.settings.response_baggage:
            return b""
        return literal(b"baggage", str(baggage_of(workload)).encode())

    def when(self, is_so: Callable[[], bool], seconds: float, done: Callable[[bool], None]) -> None:
        """Call `done(True)` once `is_so`, looking after every change of the mesh, or `done(False)` in time."""
        if is_so():
            done(True)
            return
        timer: Timer

        def finish(answer: bool) -> None:
            unwatch()
            timer.cancel()
            done(answer)

        unwatch = self.state.watch(lambda: finish(True) if is_so() else None)
        timer = self.reactor.wheel.after(seconds, lambda: finish(False))


def baggage_of(workload: Workload) -> Baggage:
    """A workload as its proxy announces it."""
    return Baggage(
        cluster=workload.cluster_id,
        namespace=workload.namespace,
        workload=workload.workload_name,
        workload_type=workload.workload_type or "deployment",
        service=workload.canonical_name,
        revision=workload.canonical_revision,
        region=workload.locality.region,
        zone=workload.locality.zone,
    )
