"""A waypoint in the test's own loop, doors that lead to it as node proxies do, and pods behind it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

import hbone_py
from hbone_py.aio.plain_relay import relay
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import Listener, listening_socket
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.errors import HboneError
from mesh_py.discovery.state import MeshState
from mesh_py.identity.sources import FileTriple
from mesh_py.identity.store import CertificateStore
from mesh_py.manifests.proxy_file import further_of, read_waypoint_file
from mesh_py.process.background import background
from mesh_py.process.listening import bind_all
from mesh_py.proxy.directory import Directory
from mesh_py.proxy.foundation import Foundation
from mesh_py.settings.source import from_flags
from mesh_py.telemetry.logs import Logs
from mesh_py.telemetry.metrics import Metrics
from tests.sidecar_py.applications import web_application
from tests.support.observed import LineSink, Observed
from tests.support.peers import credentials_of
from tests.support.processes import eventually, loopback_address
from tests.support.sockets import dialled
from waypoint_py.config import from_values
from waypoint_py.data_plane import DataPlane
from waypoint_py.listening import data_addresses
from waypoint_py.settings_table import TABLE
from waypoint_py.user_filters import UserFilters

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Mapping, Sequence

    from lab_py.apps.caller_record import CallerRecord
    from tests.support.certificates import CertificateFiles

HOST = "httpbin.default.svc.cluster.local"
PORT = 8000
V2_HOST = "v2.default.svc.cluster.local"


@dataclass
class Addresses:
    """Where everything of one test's mesh is: two versions of httpbin, `v1` behind `httpbin`, `v2` behind `v2`."""

    sleep: str = field(default_factory=loopback_address)
    waypoint: str = field(default_factory=loopback_address)
    v1: str = field(default_factory=loopback_address)
    v2: str = field(default_factory=loopback_address)
    vip: str = field(default_factory=loopback_address)
    v2_vip: str = field(default_factory=loopback_address)
    port: int = 8080
    """The applications'."""

    def mesh(
        self, *, kind: str = "protocol: HBONE", speaks: str = "HTTP11", further: str = "", pod: str = "", more: str = ""
    ) -> str:
        """`kind` is how pods are reached, `speaks` what the services say, `pod` further keys of pods."""
        known = f"appProtocols: {{{PORT}: {speaks}}}, " if speaks else ""
        gate = f'waypoint: {{destination: "/{self.waypoint}", hboneMtlsPort: 15008}}'
        return f"""\
workloads:
- {{uid: sleep, name: sleep, namespace: default, serviceAccount: sleep, trustDomain: cluster.local,
    workloadName: sleep, canonicalName: sleep, canonicalRevision: v1, clusterId: c1,
    workloadIps: ["{self.sleep}"], protocol: HBONE, services: {{}}}}
- {{uid: waypoint, name: waypoint, namespace: default, serviceAccount: waypoint, trustDomain: cluster.local,
    workloadName: waypoint, canonicalName: waypoint, clusterId: c1, workloadIps: ["{self.waypoint}"], services: {{}}}}
- {{uid: v1, name: v1, namespace: default, serviceAccount: httpbin, trustDomain: cluster.local,
    workloadName: httpbin-v1, canonicalName: httpbin, canonicalRevision: v1, clusterId: c1,
    workloadIps: ["{self.v1}"], {kind}, {pod} services: {{"default/{HOST}": {{{PORT}: {self.port}}}}}}}
- {{uid: v2, name: v2, namespace: default, serviceAccount: httpbin, trustDomain: cluster.local,
    workloadName: httpbin-v2, canonicalName: httpbin, canonicalRevision: v2, clusterId: c1,
    workloadIps: ["{self.v2}"], {kind}, services: {{"default/{V2_HOST}": {{{PORT}: {self.port}}}}}}}
{more}
services:
- {{name: httpbin, namespace: default, hostname: {HOST}, vips: ["/{self.vip}"], ports: {{{PORT}: {self.port}}},
    {known}{gate}}}
- {{name: v2, namespace: default, hostname: {V2_HOST}, vips: ["/{self.v2_vip}"], ports: {{{PORT}: {self.port}}},
    {known}{gate}}}
{further}"""


class WaypointUnderTest(Observed):
    """One waypoint's data plane, with what it wrote and counted."""

    def __init__(self, plane: DataPlane, state: MeshState, directory: Directory, user_filters: UserFilters) -> None:
        self.plane, self._state, self._directory, self._user_filters = plane, state, directory, user_filters
        self.at: Addresses
        """Of the mesh it has, where a test has to write another."""

    def take(self, mesh: str) -> None:
        """Another version of the mesh."""
        config = read_waypoint_file(mesh, "mesh.yaml")
        further = further_of(config)
        self._user_filters.take(further.chain.filters)
        self._directory.take(further)
        self._state.replace(config.workloads, config.services, config.policies)


@contextlib.asynccontextmanager
async def waypoint(
    mesh: str, address: str, certificate: CertificateFiles, **flags: str
) -> AsyncIterator[WaypointUnderTest]:
    """Run one as workload `default/waypoint` at an address."""
    told = {
        "PROXY_WORKLOAD_INFO": "default/waypoint/waypoint",
        "PROXY_BIND_ADDRESS": address,
        "LOCAL_XDS": mesh,
        "FAKE_CA": "true",
        "RUST_LOG": "off,access=info",
        **flags,
    }
    settings = from_values([from_flags(TABLE, told)], {})
    state = MeshState(settings.network)
    directory = Directory(state, settings.cluster_domain, is_gateway=True)
    source = FileTriple(certificate.chain, certificate.key, certificate.roots)
    store = CertificateStore(source, settings.tls, lambda: datetime.datetime.now(datetime.UTC))
    sink, metrics = LineSink(), Metrics("test")
    logs = Logs(sink, filter=settings.log_filter)  # type: ignore[arg-type]
    sockets = bind_all(data_addresses(settings), settings.socket_options)
    user_filters = UserFilters()
    foundation = Foundation(settings, sockets, state, directory, store, logs, sink.write, metrics)
    plane = DataPlane.build(foundation, user_filters)
    one = WaypointUnderTest(plane, state, directory, user_filters)
    one.lines, one.metrics = sink.lines, metrics
    one.take(mesh)
    async with background(plane.background()):
        await plane.listening.wait()
        try:
            yield one
        finally:
            await plane.drain(0.5)


# Ways in and out ----------------------------------------------------------------------------------------------------


class Door:
    """Accepts connections and leads each through a tunnel of its own."""

    def __init__(
        self, to: str, authority: str, certificate: CertificateFiles, headers: Sequence[tuple[str, str]]
    ) -> None:
        self._to, self._authority, self._headers = to, authority, headers
        self._credentials = credentials_of(certificate)
        self._arrived: asyncio.Queue[TcpStream] = asyncio.Queue()
        self._open: list[TcpStream] = []

    async def serve(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._lead(await self._arrived.get()))

    def accepted(self, sock: socket.socket, _: object) -> None:
        """Somebody comes."""
        stream = TcpStream(Reactor.current(), sock)
        self._open.append(stream)
        self._arrived.put_nowait(stream)

    def close(self) -> None:
        """Whoever is still there is cut."""
        for stream in self._open:
            stream.abort()

    async def _lead(self, stream: TcpStream) -> None:
        try:
            tunnel = await hbone_py.connect(
                self._to, authority=self._authority, credentials=self._credentials, headers=self._headers
            )
            await relay(stream, tunnel)
        except HboneError:
            stream.abort()


@contextlib.asynccontextmanager
async def door(
    to: str, authority: str, certificate: CertificateFiles, headers: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[str]:
    """A plain address whose connections go through tunnels to `authority` at the waypoint, as a node proxy's do."""
    one = Door(to, authority, certificate, headers)
    listener = Listener(Reactor.current(), listening_socket("127.0.0.1", 0), one.accepted)
    async with background(one.serve()):
        host, port = listener.address
        try:
            yield f"{host}:{port}"
        finally:
            listener.close()
            one.close()


def client(address: str, **more: Any) -> httpx.AsyncClient:
    """A client of httpbin that goes through a door."""
    headers = {"host": f"{HOST}:{PORT}", **more.pop("headers", {})}
    return httpx.AsyncClient(
        base_url=f"http://{address}", headers=headers, timeout=10, trust_env=False, verify=False, **more
    )


@contextlib.asynccontextmanager
async def pod(address: str, port: int, certificate: CertificateFiles) -> AsyncIterator[list[str]]:
    """HBONE to an application at the same address, as the pod's node proxy has it; who came is noted."""
    seen: list[str] = []

    async def lead(tunnel: hbone_py.IncomingTunnel) -> None:
        trace = (tunnel.request.get(b"traceparent") or b"").decode()
        seen.append(f"{tunnel.request.authority} from {tunnel.peer}{trace and f' in {trace}'}")
        upstream = TcpStream(Reactor.current(), dialled(address, port))
        await relay(await tunnel.accept(), upstream)

    async with await hbone_py.serve(lead, address, 15008, credentials=credentials_of(certificate)):
        yield seen


@dataclass
class Scene:
    """A waypoint between a door to httpbin and two pods."""

    at: Addresses
    waypoint: WaypointUnderTest
    http: httpx.AsyncClient
    door: str
    v1: CallerRecord
    v2: CallerRecord
    tunnels: list[str]
    """What v1's node proxy was asked for."""

    async def settled(self) -> None:
        """Until nothing is under way but what clients keep open."""
        await eventually(lambda: len(self.waypoint.plane.connections) <= 1, "mirrors and requests over")


@contextlib.asynccontextmanager
async def scene(
    certificates: Mapping[str, CertificateFiles],
    further: str = "",
    *,
    authority: str = "",
    who: str = "sleep",
    speaks: str = "HTTP11",
    may_answer: asyncio.Event | None = None,
    **flags: str,
) -> AsyncIterator[Scene]:
    """Both versions are served; the door leads to the service's virtual address, or `authority`."""
    at = Addresses()
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        mesh = at.mesh(speaks=speaks, further=further)
        one = await enter(waypoint(mesh, at.waypoint, certificates["waypoint"], **flags))
        records = [await enter(web_application(address, at.port, may_answer)) for address in (at.v1, at.v2)]
        seen = [await enter(pod(address, at.port, certificates["httpbin"])) for address in (at.v1, at.v2)]
        asked = authority.format(at=at) or f"{at.vip}:{PORT}"
        way_in = await enter(door(at.waypoint, asked, certificates[who]))
        http = await enter(client(way_in))
        yield Scene(at, one, http, way_in, records[0], records[1], seen[0])
