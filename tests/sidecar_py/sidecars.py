"""Sidecars in the test's own loop: a mesh as text, a certificate, an address each; and clients of theirs."""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from mesh_py.discovery.state import MeshState
from mesh_py.identity.sources import FileTriple
from mesh_py.identity.store import CertificateStore
from mesh_py.manifests.proxy_file import further_of, read_proxy_file
from mesh_py.process.background import background
from mesh_py.process.listening import bind_all
from mesh_py.proxy.directory import Directory
from mesh_py.proxy.foundation import Foundation
from mesh_py.settings.source import from_flags
from mesh_py.telemetry.logs import Logs
from mesh_py.telemetry.metrics import Metrics
from sidecar_py.config import from_values
from sidecar_py.data_plane import DataPlane
from sidecar_py.listening import data_addresses
from sidecar_py.settings_table import TABLE
from tests.support.observed import LineSink, Observed
from tests.support.processes import loopback_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar_py.config import Settings
    from tests.support.certificates import CertificateFiles

HOST = "httpbin.default.svc.cluster.local"
PORT = 8000


@dataclass
class Addresses:
    """Where everything of one test's mesh is."""

    sleep: str = field(default_factory=loopback_address)
    httpbin: str = field(default_factory=loopback_address)
    app: str = field(default_factory=loopback_address)
    """The application behind httpbin's sidecar."""
    vip: str = field(default_factory=loopback_address)
    port: int = 8080
    """The application's port, which is httpbin's too."""

    def mesh(self, *, kind: str = "mutualTls: true", further: str = "", more: str = "", service: str = "") -> str:
        """Two workloads and a service. `kind` is how httpbin is reached, `service` further keys of the service."""
        return f"""\
workloads:
- {{uid: sleep, name: sleep, namespace: default, serviceAccount: sleep, trustDomain: cluster.local,
    workloadName: sleep, canonicalName: sleep, canonicalRevision: v1, clusterId: c1,
    workloadIps: ["{self.sleep}"], mutualTls: true, services: {{}}}}
- {{uid: httpbin, name: httpbin, namespace: default, serviceAccount: httpbin, trustDomain: cluster.local,
    workloadName: httpbin, canonicalName: httpbin, canonicalRevision: v1, clusterId: c1,
    workloadIps: ["{self.httpbin}"], {kind}, services: {{"default/{HOST}": {{{PORT}: {self.port}}}}}}}
{more}
services:
- {{name: httpbin, namespace: default, hostname: {HOST}, vips: ["/{self.vip}"], ports: {{{PORT}: {self.port}}},
    canonical: true{service}}}
{further}"""


class SidecarUnderTest(Observed):
    """One sidecar's data plane, with what it wrote and counted."""

    def __init__(self, settings: Settings, plane: DataPlane, state: MeshState, directory: Directory) -> None:
        self.settings, self.plane, self._state, self._directory = settings, plane, state, directory

    @property
    def socks(self) -> str:
        """Where its SOCKS5 listens."""
        host, port = self.plane.listeners["socks5"].address
        return f"{host}:{port}"

    def client(self, **more: Any) -> httpx.AsyncClient:
        """A client whose traffic this sidecar captures. Without TLS, whose authorities take long to read."""
        return httpx.AsyncClient(proxy=f"socks5h://{self.socks}", timeout=10, trust_env=False, verify=False, **more)

    def take(self, mesh: str) -> None:
        """Another version of the mesh."""
        config = read_proxy_file(mesh, "mesh.yaml")
        self._directory.take(further_of(config))
        self._state.replace(config.workloads, config.services, config.policies)


@contextlib.asynccontextmanager
async def sidecar(
    mesh: str, who: str, address: str, certificate: CertificateFiles, **flags: str
) -> AsyncIterator[SidecarUnderTest]:
    """Run one beside workload `default/WHO` at an address, on any free ports but its `CAPTURED_PORTS`."""
    ports = dict.fromkeys(("OUTBOUND_PORT", "PLAINTEXT_PORT", "SOCKS5_PORT"), "0")
    told = {
        **ports,
        "PROXY_WORKLOAD_INFO": f"default/{who}/{who}",
        "PROXY_BIND_ADDRESS": address,
        "LOCAL_XDS": mesh,
        "FAKE_CA": "true",
        "UNSTABLE_ENABLE_SOCKS5": "true",
        "RUST_LOG": "off,access=info",
        **flags,
    }
    settings = from_values([from_flags(TABLE, told)], {})
    state = MeshState(settings.network)
    directory = Directory(state, settings.cluster_domain)
    source = FileTriple(certificate.chain, certificate.key, certificate.roots)
    store = CertificateStore(source, settings.tls, lambda: datetime.datetime.now(datetime.UTC))
    sink, metrics = LineSink(), Metrics("test")
    logs = Logs(sink, filter=settings.log_filter)  # type: ignore[arg-type]
    sockets = bind_all(data_addresses(settings), settings.socket_options)
    plane = DataPlane.build(Foundation(settings, sockets, state, directory, store, logs, sink.write, metrics))
    one = SidecarUnderTest(settings, plane, state, directory)
    one.lines, one.metrics = sink.lines, metrics
    one.take(mesh)
    async with background(plane.background()):
        await plane.listening.wait()
        try:
            yield one
        finally:
            await plane.drain(0.5)
