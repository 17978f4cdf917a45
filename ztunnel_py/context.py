"""What every part of one proxy process shares: the mesh it knows, its certificates, its counters and its log."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from hbone_py.address import is_loopback
from hbone_py.aio.keepalive import LateKeepalive
from hbone_py.connect import traceparent
from hbone_py.errors import HboneError
from hbone_py.header_blocks import ONE_BYTE, literal, text
from mesh_py.model.address import parse_ip
from mesh_py.telemetry.own_baggage import baggage_of
from ztunnel_py.connections import Connections

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tcp import SocketAddress, SocketOptions
    from hbone_py.aio.wheel import Timer
    from mesh_py.discovery.state import MeshState
    from mesh_py.identity.certificates import Certificates
    from mesh_py.model.workload import Workload
    from mesh_py.settings.kinds import WorkloadInfo
    from mesh_py.telemetry.access_log import AccessLog
    from mesh_py.telemetry.facts import Parties
    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.tracing.tracer import Tracer
    from mesh_py.xds.on_demand import OnDemand
    from ztunnel_py.config import Settings
    from ztunnel_py.revocation import RevocationGuard


_FORWARDED = "\x00\x09forwarded"
_TRACEPARENT = "\x00\x0btraceparent\x37"  # its value always has 55 characters


class PodNetwork(NamedTuple):
    """A pod as its own proxy is in it."""

    workload: WorkloadInfo
    options: SocketOptions
    """How sockets are made in its network namespace."""


class NotOurWorkload(HboneError):
    """A connection from, or to, an address that is no workload of this proxy."""

    flag = "-"


@dataclass(slots=True)
class ProxyContext:
    """One per proxy: of a process, or in shared mode of a pod. `illegal_ports` are the proxy's own: nothing is ever
    sent there on somebody's behalf. Nor to `surfaces`, where it is administered: they may have a workload's address."""

    reactor: Reactor
    settings: Settings
    state: MeshState
    certificates: Certificates
    metrics: Metrics
    access: AccessLog
    parties: Parties
    illegal_ports: frozenset[int]
    surfaces: frozenset[SocketAddress] = frozenset()
    connections: Connections = field(default_factory=Connections)
    preserves_source: bool = False
    """We may connect to applications with the client's own address (3.6)."""
    may_grow: bool = False
    """Discovery may still bring what is not known: then a connection waits for its workload a while (2.1, 3.2)."""
    names: OnDemand | None = None
    """Whom to ask for addresses, where they are known on demand only."""
    revocation: RevocationGuard | None = None
    """Who is no longer let in, where there are revocation lists."""
    tracer: Tracer | None = None
    """Where spans begin; None where nobody wants them."""
    pod: PodNetwork | None = None
    """The one pod that is served from its own network; None: all that reaches this process's."""
    workload: WorkloadInfo | None = field(init=False)
    """The one workload that is served, if it is one."""
    socket_options: SocketOptions = field(init=False)
    """Of the connections we make."""
    keepalive: LateKeepalive = field(init=False)
    """Of those to applications, which mostly end at once."""
    inside: Callable[[socket.socket, SocketAddress, SocketAddress], None] | None = None
    """Takes a connection to one of our own workloads in the listener's place (`SAME_NODE_INSIDE`): the socket, the
    client's address, the workload's."""
    verdict_level: int = field(init=False)
    """The log level of policy's verdicts (`AUTHZ_POLICY_INFO_LOGGING`)."""
    _dice: Random = field(default_factory=Random)
    _socks_version: int = -1
    _socks_found: Workload | None = None

    def __post_init__(self) -> None:
        self.workload = self.settings.workload if self.pod is None else self.pod.workload
        self.socket_options = self.settings.socket_options if self.pod is None else self.pod.options
        self.keepalive = LateKeepalive(self.reactor, self.socket_options)
        self.verdict_level = logging.INFO if self.settings.authz_info_logging else logging.DEBUG

    def is_ourselves(self, address: SocketAddress) -> bool:
        """Whether whatever is sent there would come to this proxy itself."""
        return address[1] in self.illegal_ports or address in self.surfaces or ("", address[1]) in self.surfaces

    def source_workload(self, client: SocketAddress, *, by_socks: bool = False) -> Workload | None:
        """The workload of ours that a captured connection comes from."""
        if self.workload is not None:
            return self.dedicated_workload()
        if by_socks and self.settings.socks_as is not None and client[0] == "127.0.0.1":
            return self._socks_workload(self.settings.socks_as)
        return self.state.find_local_address(client[0])  # type: ignore[arg-type]

    def _socks_workload(self, wanted: str) -> Workload | None:
        """The workload of ours called `namespace/name`, looked for once after each change of the mesh."""
        if self._socks_version != self.state.version:
            self._socks_version = self.state.version
            ours = (one for one in self.state.workloads if self.state.is_local(one))
            self._socks_found = next((one for one in ours if f"{one.namespace}/{one.name}" == wanted), None)
        return self._socks_found

    def destination_workload(self, local: SocketAddress) -> Workload | None:
        """The workload of ours that a connection reaches at `local`."""
        if self.workload is not None:
            return self.dedicated_workload()
        return self.state.find_local_address(local[0])  # type: ignore[arg-type]

    def no_source(self, client: SocketAddress) -> NotOurWorkload:
        """Why there is no `source_workload`."""
        return self._no_workload() or NotOurWorkload(
            f"unknown source: no workload of this proxy has the address {client[0]}"
        )

    def no_destination(self, local: SocketAddress) -> NotOurWorkload:
        """Why there is no `destination_workload`."""
        return self._no_workload() or NotOurWorkload(
            f"unknown destination: no workload of this proxy has the address {local[0]}"
        )

    def _no_workload(self) -> NotOurWorkload | None:
        info = self.workload
        if info is None:
            return None
        who = f"{info.service_account}.{info.namespace} ({info.name})"
        return NotOurWorkload(f"failed to fetch information about local workload: {who}")

    def dedicated_workload(self) -> Workload | None:
        """The one workload that is served, once discovery knows it."""
        info = self.workload
        if info is None:
            return None
        return self.state.find_local_workload(info.name, info.namespace, info.service_account)

    def source_address(self, wanted: str, towards: str) -> str | None:
        """The address to reach `towards` from on behalf of `wanted`; None for our own (hbone-dataplane 3.6).

        On loopback anybody may borrow an address, and from there nothing else is reached; elsewhere it takes the
        right to be transparent, or replies would never find us.
        """
        if self.settings.preserve_source is False:
            return None
        if is_loopback(parse_ip(wanted)):
            return wanted if is_loopback(parse_ip(towards)) else None
        return wanted if self.preserves_source else None

    def own_address(self, source: Workload, client: str, towards: str) -> str | None:
        """The address to reach `towards` from as `source`, whose application has the address `client`.

        The other side shall see the workload, not its node: what a proxy inside the pod would give it, as those of
        shared mode are.
        """
        if self.pod is not None:
            return None
        if client in source.workload_ips:
            return self.source_address(client, towards)
        is_v6 = ":" in client
        own = next((ip for ip in source.workload_ips if (":" in ip) == is_v6), None)
        return None if own is None else self.source_address(own, towards)

    def stays_inside(self, there: Workload) -> bool:
        """Whether a tunnel to a workload begins and ends in this process (redirection a.7).

        In Istio 1.18's layout it must: what a node's proxy sends to its own node's pods is not captured, so a
        connection would reach the pod, where nobody listens. Who speaks HBONE by itself is connected to.
        """
        return self.inside is not None and not there.native_tunnel and self.state.is_local(there)

    def forwarded_and_trace(self, client: str, tail: str, trace: str = "") -> bytes:
        """The headers of a CONNECT that differ each time, encoded: forwarded, traceparent (hbone-dataplane 1.4).

        `trace` is the latter where somebody records it; it is random otherwise.
        """
        dice = self._dice.getrandbits
        trace = trace or traceparent(dice(128), dice(64))
        value = f'for="{client}"{tail}'
        size = len(value)
        if size < ONE_BYTE and value.isascii():
            return f"{_FORWARDED}{chr(size)}{value}{_TRACEPARENT}{trace}".encode("ascii")
        return b"".join((_FORWARDED.encode(), text(value.encode()), _TRACEPARENT.encode(), trace.encode("ascii")))

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
