"""Pods on loopback, each beside a node proxy's data plane, all in this process: real sockets, no processes.

Every pod has an address of its own, on which its proxy keeps the real ports; all proxies know the same mesh. An
application of a pod calls through its proxy with `call` (captured, by a PROXY preamble) or `socks`; plaintext reaches
a pod with `call_plain`. When the mesh closes, every proxy must have let go of what it had.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import re
import socket
import struct
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, cast

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hbone_py.aio.reactor import Reactor
from hbone_py.aio.wheel import TimerWheel
from hbone_py.tls.context import TlsSettings
from hbone_py.tls.credentials import Credentials
from mesh_py.discovery.state import MeshState
from mesh_py.identity.remote_store import RemoteStore
from mesh_py.identity.revocation import RevocationFile
from mesh_py.identity.store import CertificateStore
from mesh_py.model.address import IpAddress, parse_ip
from mesh_py.model.authorization import Policy
from mesh_py.model.workload import Service, Workload
from mesh_py.process.listening import bind_all
from mesh_py.telemetry.access_log import AccessLog
from mesh_py.telemetry.connection_log import PlainLines
from mesh_py.telemetry.exposition import render
from mesh_py.telemetry.log_filter import Level
from mesh_py.telemetry.metrics import Metrics
from tests.interop.callers import TcpCaller, read_exactly
from tests.support import world
from tests.support.clock import VirtualClock
from tests.support.processes import eventually, loopback_address
from tests.support.tcp_apps import Behaviour, TcpApp, drop
from ztunnel_py.config import from_env
from ztunnel_py.data_plane import DataPlane
from ztunnel_py.foundation import Foundation
from ztunnel_py.listening import KEPT_ALIVE, data_addresses
from ztunnel_py.name_lookup import NameLookup
from ztunnel_py.revocation import RevocationGuard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable
    from contextlib import AbstractAsyncContextManager

    from hbone_py.identity import SpiffeId
    from mesh_py.identity.certificates import Certificates
    from mesh_py.telemetry.logs import Logs
    from tests.support.certificates import CertificateFiles, TestRoot

OUTBOUND, PLAINTEXT, HBONE, SOCKS = 15001, 15006, 15008, 15080
Address = tuple[str, int]


@dataclass
class Authority:
    """Signs for whoever is asked for (a `CertificateSource`), and keeps the files for peers that are not ours."""

    root: TestRoot
    renews: bool = False
    files: dict[str, CertificateFiles] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    """Service accounts it has nothing for."""
    versions: dict[str, int] = field(default_factory=dict)

    def load(self, identity: SpiffeId) -> Credentials:
        if identity.service_account in self.refuses:
            from hbone_py.errors import TlsConfigError

            raise TlsConfigError(f"nothing is there for {identity.service_account}")
        files = self.of(identity.service_account)
        return Credentials.from_files(files.chain, files.key, files.roots)

    def stamp(self, identity: SpiffeId) -> Hashable:
        return self.versions.get(identity.service_account, 0)

    def of(self, account: str) -> CertificateFiles:
        """The certificate of `default/ACCOUNT`, issued once."""
        if account not in self.files:
            self.files[account] = self.root.issue(account, f"default/{account}")
        return self.files[account]

    def renew(self, account: str) -> None:
        """From now on there is another certificate."""
        del self.files[account]
        self.versions[account] = self.versions.get(account, 0) + 1


@dataclass
class RemoteAuthority:
    """The same by a call that takes its time (a `RemoteSource`): answers wait for `gate`."""

    signer: Authority
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)
    """Service accounts, in order."""

    async def fetch(self, identity: SpiffeId) -> Credentials:
        self.asked.append(identity.service_account)
        await self.gate.wait()
        return self.signer.load(identity)

    def close(self) -> None:
        """Nothing is kept open."""


@dataclass
class Proxy:
    """One node proxy's data plane, and all it says of itself."""

    plane: DataPlane
    state: MeshState
    metrics: Metrics
    certificates: Certificates
    lines: list[str]
    """The access log."""

    async def refresh(self) -> None:
        """Look at once for certificates that have changed or are due."""
        if isinstance(self.certificates, CertificateStore):
            await self.certificates.refresh()
        elif isinstance(self.certificates, RemoteStore):
            self.certificates.look_again()

    def logged(self, message: str = "connection complete") -> list[dict[str, str]]:
        """The fields of all lines with that message."""
        return [fields_of(line) for line in self.lines if f"\t{message}\t" in line]

    async def line(self, index: int = 0, message: str = "connection complete") -> dict[str, str]:
        """The fields of the `index`-th line with that message, awaited."""
        await eventually(lambda: len(self.logged(message)) > index, f"line {index} of {message!r} in {self.lines}")
        return self.logged(message)[index]

    def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Labels and values of one metric, read from the exposition by prometheus-client."""
        text = "".join(render(self.metrics.snapshot()))
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        ]

    def total(self, name: str, **labels: str) -> float:
        """The sum of the metric's samples that have these labels."""
        return sum(
            value for found, value in self.samples(name) if all(found.get(key) == want for key, want in labels.items())
        )

    @property
    def open_connections(self) -> int:
        return len(self.plane.context.connections.live)

    def check_balance(self) -> None:
        """What was opened was closed, and no accepted socket is left."""
        assert not self.plane.context.connections.live
        assert [series.labels for series in self.metrics.traffic if series.open_connections] == []
        assert dict(self.metrics.traffic.sockets.items()) == {"source": 0, "destination": 0}

    def close(self) -> None:
        for listener in self.plane.listeners:
            listener.close()
        self.plane.cut()


@dataclass
class Pod:
    """A pod of the mesh; `proxy` is None where nothing captures its traffic."""

    name: str
    ip: str
    proxy: Proxy | None = None

    @property
    def its_proxy(self) -> Proxy:
        assert self.proxy is not None, f"{self.name} has no proxy"
        return self.proxy

    def app(self, behaviour: Behaviour, port: int = 0) -> TcpApp:
        """An application of the pod, for the length of an `async with`."""
        return TcpApp(behaviour, self.ip, port)

    def call(self, destination: str, source: str | None = None) -> AbstractAsyncContextManager[TcpCaller]:
        """A captured connection of the pod's application, from `source` if it is not the pod's own address."""
        return captured((self.ip, OUTBOUND), source or self.ip, destination)

    def socks(self, destination: str) -> AbstractAsyncContextManager[TcpCaller]:
        """A connection of the pod's application by SOCKS5 (`ip:port` or `name:port`), once it is granted."""
        return granted((self.ip, SOCKS), self.ip, destination)

    def call_plain(self, client: str, destination: str) -> AbstractAsyncContextManager[TcpCaller]:
        """Plaintext from the address `client` that is on its way to an application of the pod."""
        return captured((self.ip, PLAINTEXT), client, destination)


class Pods:
    """The mesh. `async with`; pods come with `add`, everything else with `tell`."""

    def __init__(self, root: TestRoot) -> None:
        self.authority = Authority(root)
        self.remote: RemoteAuthority | None = None
        """What proxies that are added from now on ask for certificates, instead of `authority`."""
        self.pods: list[Pod] = []
        self.names: dict[str, tuple[str, ...]] = {}
        """What the proxies' resolver knows; nothing else can be looked up."""
        self.later = datetime.timedelta()
        """How much later it is for the proxies' certificates than it is."""
        self.asked: list[str] = []
        """Names it was asked for."""
        self.objects: list[world.MeshObject] = []
        """All that the proxies were told of."""
        self._reactor: Reactor
        self._background = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._reactor = Reactor.current()
        await self._background.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._background.__aexit__(None, None, None)
        proxies = [pod.proxy for pod in self.pods if pod.proxy is not None]
        for proxy in proxies:
            proxy.close()
        for proxy in proxies:
            proxy.check_balance()
        assert self._reactor.open_sockets == 0
        assert self._reactor.ledger.used == 0
        self._reactor.close()

    def add(self, name: str, *, proxied: bool = True, environment: dict[str, str] | None = None, **fields: Any) -> Pod:
        """A pod and its workload; `fields` are the workload's, `environment` the proxy's."""
        pod = Pod(name, loopback_address())
        self.pods.append(pod)
        if proxied:
            pod.proxy = self._proxy(pod, environment or {})
        self.tell_of(pod, **fields)
        return pod

    def add_unknown(self, name: str) -> Pod:
        """A pod with a proxy, of which discovery may bring news (`tell_of`)."""
        pod = Pod(name, loopback_address())
        self.pods.append(pod)
        pod.proxy = self._proxy(pod, {}, may_grow=True)
        return pod

    def tell_of(self, pod: Pod, **fields: Any) -> None:
        """Tell all proxies of the pod's workload."""
        name = pod.name
        self.tell(world.workload(name, pod.ip, **{"node": name, **fields}))

    def tell(self, *objects: world.MeshObject) -> None:
        """Add to, or change, what all proxies know."""
        self.objects += objects
        for pod in self.pods:
            if pod.proxy is not None:
                _tell(pod.proxy.state, objects)

    def change(self, name: str, **fields: Any) -> None:
        """Tell all proxies that the workload `name` has other `fields` now."""
        known = {thing.name: thing for thing in self.objects if isinstance(thing, Workload)}
        self.tell(dataclasses.replace(known[name], **fields))

    def stop_the_clock(self) -> VirtualClock:
        """From now on deadlines pass only as the clock is advanced."""
        clock = VirtualClock()
        self._reactor.wheel.close()
        self._reactor.wheel = TimerWheel(cast("asyncio.AbstractEventLoop", clock))
        return clock

    def _now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) + self.later

    async def _ask(self, hostname: str) -> tuple[IpAddress, ...]:
        self.asked.append(hostname)
        if hostname not in self.names:
            raise OSError(0, "no such name")
        return tuple(map(parse_ip, self.names[hostname]))

    def _certificates(self) -> Certificates:
        if self.remote is None:
            return CertificateStore(self.authority, TlsSettings(), self._now)
        store = RemoteStore(self.remote, TlsSettings(), self._now)
        self._tasks.append(self._background.create_task(store.watch()))
        return store

    def _proxy(self, pod: Pod, environment: dict[str, str], *, may_grow: bool = False) -> Proxy:
        settings = from_env(
            {
                "PROXY_MODE": "node",
                "NODE_NAME": pod.name,
                "PROXY_BIND_ADDRESS": pod.ip,
                "LOCAL_XDS": "{}",
                "XDS_ADDRESS": "",
                "FAKE_CA": "true",
                "PROXY_PROTOCOL_CAPTURE": "true",
                "UNSTABLE_ENABLE_SOCKS5": "true",
                "HOME": "/nonexistent",
            }
            | environment
        )
        lines: list[str] = []
        access = AccessLog(lines.append, PlainLines(), time.time, Level.DEBUG)
        metrics = Metrics("test")
        state = MeshState(settings.network, settings.node)
        _tell(state, self.objects)
        store = self._certificates()
        sockets = bind_all(data_addresses(settings), settings.socket_options, kept_alive=KEPT_ALIVE)
        logs = cast("Logs", SimpleNamespace(access=access))
        revoked = None if settings.crl_path is None else RevocationFile(settings.crl_path)
        if revoked is not None:
            revoked.load()
        guard = None if revoked is None else RevocationGuard(revoked, metrics)
        foundation = Foundation(settings, state, store, logs, metrics, may_grow=may_grow, revocation=guard)
        plane = DataPlane.start(foundation, sockets)
        plane.outbound.names = NameLookup(self._reactor, self._ask)
        self._tasks.append(self._background.create_task(plane.background()))
        return Proxy(plane, state, metrics, store, lines)


def _tell(state: MeshState, objects: list[world.MeshObject] | tuple[world.MeshObject, ...]) -> None:
    with state.batch():
        for thing in objects:
            match thing:
                case Workload():
                    state.upsert_workload(thing)
                case Service():
                    state.upsert_service(thing)
                case Policy():
                    state.upsert_policy(thing)


@contextlib.asynccontextmanager
async def captured(proxy: Address, source: str, destination: str) -> AsyncIterator[TcpCaller]:
    """A connection from `source` to a proxy's port that says by a PROXY preamble where it was going."""
    async with dialled(proxy, source) as (caller, local):
        await caller.send(preamble(local, world.address(destination)))
        yield caller


@contextlib.asynccontextmanager
async def dialled(address: Address, source: str) -> AsyncIterator[tuple[TcpCaller, Address]]:
    """A connection from `source`, and its own address."""
    reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
    try:
        yield TcpCaller(reader, writer), writer.get_extra_info("sockname")
    finally:
        drop(writer)


@contextlib.asynccontextmanager
async def granted(proxy: Address, source: str, destination: str) -> AsyncIterator[TcpCaller]:
    """A SOCKS5 connection that was told it succeeded (RFC 1928)."""
    host, _, port = destination.rpartition(":")
    async with dialled(proxy, source) as (caller, _):
        await caller.send(b"\x05\x01\x00\x05\x01\x00\x03" + bytes((len(host),)) + host.encode())
        await caller.send(int(port).to_bytes(2))
        assert await read_exactly(caller, 12) == b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0"
        yield caller


@contextlib.asynccontextmanager
async def unanswering(host: str, port: int = 0) -> AsyncIterator[str]:
    """An address that answers no connect: a listener whose queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as held:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):  # the kernel takes one or two more than it was told
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(address)
        await asyncio.sleep(0)
        yield f"{address[0]}:{address[1]}"


def preamble(source: Address, destination: Address) -> bytes:
    """PROXY protocol version 2 over IPv4, written from its specification."""
    addresses = IPv4Address(source[0]).packed + IPv4Address(destination[0]).packed
    body = addresses + struct.pack(">HH", source[1], destination[1])
    return b"\r\n\r\n\x00\r\nQUIT\n" + struct.pack(">BBH", 0x21, 0x11, len(body)) + body


def fields_of(line: str) -> dict[str, str]:
    """The `key=value` fields of a log line, quotes taken off, `level` from its head."""
    _, level, _, _, text = line.rstrip("\n").split("\t")
    found = re.findall(r'(\S+?)=("(?:[^"\\]|\\.)*"|\S*)(?: |$)', text)
    return {"level": level} | {key: value.strip('"') for key, value in found}
