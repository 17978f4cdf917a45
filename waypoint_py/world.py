"""The embedded world, as data and as files: a client behind its node proxy, this waypoint, and two versions of a
service behind theirs [pure but for `lay_out`].

Everything is on loopback addresses that anybody may bind: each process has its own, so all keep the real ports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.identity import SpiffeId
from mesh_py.process.embedded import application, net_problem
from mesh_py.process.family import Member
from mesh_py.process.world_files import write_world
from mesh_py.settings.source import SettingsError
from waypoint_py.config import Ports

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping
    from pathlib import Path

    from mesh_py.process.world_files import WorldFiles

TRUST_DOMAIN = "cluster.local"
SLEEP, WAYPOINT, HELLO = (SpiffeId(TRUST_DOMAIN, "default", name) for name in ("sleep", "waypoint", "hello"))
SERVICE_PORT = 8000
APPLICATION_PORT = 8080
NODE_SOCKS_PORT = 15_080
NODE_OUTBOUND_PORT, NODE_PLAINTEXT_PORT = 15_001, 15_006


@dataclass(frozen=True, slots=True)
class World:
    """Where everything stands. `net` is the first half of every address."""

    net: str = "127.2"

    def __post_init__(self) -> None:
        if (problem := net_problem(self.net, "127.2")) is not None:
            raise SettingsError(problem)

    @property
    def sleep_ip(self) -> str:
        """The client's pod, and its node's proxy."""
        return f"{self.net}.1.1"

    @property
    def waypoint_ip(self) -> str:
        """The waypoint."""
        return f"{self.net}.2.1"

    def version_ip(self, version: int) -> str:
        """The pod of version 1 or 2, and its node's proxy."""
        return f"{self.net}.3.{version}"

    @property
    def socks(self) -> tuple[str, int]:
        """Where clients find SOCKS5."""
        return self.sleep_ip, NODE_SOCKS_PORT

    @property
    def authority(self) -> str:
        """The service by its name."""
        return f"hello.default:{SERVICE_PORT}"

    def mesh_file(self, *, with_further: bool = True) -> str:
        """The mesh, with the waypoint's further keys or in the real ztunnel's own form."""
        names = {
            "sleep": self.sleep_ip,
            "waypoint": self.waypoint_ip,
            "v1": self.version_ip(1),
            "v2": self.version_ip(2),
            "net": self.net,
            "service_port": SERVICE_PORT,
            "application_port": APPLICATION_PORT,
        }
        return _MESH.format(**names) + (_FURTHER.format(**names) if with_further else "")

    def members(self, files: WorldFiles, environment: Mapping[str, str]) -> list[Member]:
        """Every process, those that others need first."""
        nodes = {"node-b": self.version_ip(1), "node-c": self.version_ip(2)}
        return [
            *(_application(f"hello-v{version}", self.version_ip(version)) for version in (1, 2)),
            *(self._node_proxy(name, address, files, environment) for name, address in nodes.items()),
            self._waypoint(files, environment),
            self._node_proxy("node-a", self.sleep_ip, files, environment, is_client=True),
        ]

    def _node_proxy(
        self, name: str, address: str, files: WorldFiles, environment: Mapping[str, str], *, is_client: bool = False
    ) -> Member:
        ports = Ports()
        listens = [NODE_OUTBOUND_PORT, NODE_PLAINTEXT_PORT, ports.inbound, ports.admin, ports.stats, ports.readiness]
        told = {
            "PROXY_MODE": "node",
            "NODE_NAME": name,
            "PROXY_BIND_ADDRESS": address,
            "LOCAL_XDS_PATH": str(files.node_mesh),
            "XDS_ADDRESS": "",
            "WORKLOAD_CERT_DIR": str(files.certificates),
            "DNS_CAPTURE": "false",
        }
        if is_client:
            told |= {"UNSTABLE_ENABLE_SOCKS5": "true", "SOCKS5_SOURCE_WORKLOAD": "default/sleep"}
            listens.append(NODE_SOCKS_PORT)
        return Member(
            name,
            ["-m", "ztunnel_py"],
            {**environment, **told},
            (address, ports.readiness, "/healthz/ready"),
            [(address, port) for port in listens],
        )

    def _waypoint(self, files: WorldFiles, environment: Mapping[str, str]) -> Member:
        address, ports = self.waypoint_ip, Ports()
        told = {
            "PROXY_WORKLOAD_INFO": "default/waypoint/waypoint",
            "PROXY_BIND_ADDRESS": address,
            "LOCAL_XDS_PATH": str(files.mesh),
            "XDS_ADDRESS": "",
            "WORKLOAD_CERT_DIR": str(files.certificates),
        }
        return Member(
            "waypoint",
            ["-m", "waypoint_py"],
            {**environment, **told},
            (address, ports.readiness, "/healthz/ready"),
            [(address, port) for port in (ports.inbound, ports.admin, ports.stats, ports.readiness)],
        )


def lay_out(world: World, folder: Path, now: datetime.datetime) -> WorldFiles:
    """Write what the world's processes read. Raises OSError where the folder cannot be written."""
    return write_world(folder, now, (SLEEP, WAYPOINT, HELLO), world.mesh_file(), world.mesh_file(with_further=False))


def _application(name: str, ip: str) -> Member:
    return application(f"{name}-app", (ip, APPLICATION_PORT), name)


_MESH = """\
# The embedded world. The proxies follow this file: an edit takes effect at once, a broken one is reported and
# changes nothing.
workloads:
- uid: embedded//Pod/default/sleep
  name: sleep
  namespace: default
  serviceAccount: sleep
  trustDomain: cluster.local
  clusterId: Kubernetes
  workloadName: sleep
  workloadType: deployment
  canonicalName: sleep
  canonicalRevision: v1
  node: node-a
  workloadIps: ["{sleep}"]
  protocol: HBONE
  services: {{}}
- uid: embedded//Pod/default/waypoint
  name: waypoint
  namespace: default
  serviceAccount: waypoint
  trustDomain: cluster.local
  clusterId: Kubernetes
  workloadName: waypoint
  workloadType: deployment
  canonicalName: waypoint
  node: node-w
  workloadIps: ["{waypoint}"]
  services: {{}}
- uid: embedded//Pod/default/hello-v1
  name: hello-v1
  namespace: default
  serviceAccount: hello
  trustDomain: cluster.local
  clusterId: Kubernetes
  workloadName: hello-v1
  workloadType: deployment
  canonicalName: hello
  canonicalRevision: v1
  node: node-b
  workloadIps: ["{v1}"]
  protocol: HBONE
  services:
    "default/hello.default.svc.cluster.local": {{{service_port}: {application_port}}}
    "default/hello-v1.default.svc.cluster.local": {{{service_port}: {application_port}}}
- uid: embedded//Pod/default/hello-v2
  name: hello-v2
  namespace: default
  serviceAccount: hello
  trustDomain: cluster.local
  clusterId: Kubernetes
  workloadName: hello-v2
  workloadType: deployment
  canonicalName: hello
  canonicalRevision: v2
  node: node-c
  workloadIps: ["{v2}"]
  protocol: HBONE
  services:
    "default/hello.default.svc.cluster.local": {{{service_port}: {application_port}}}
    "default/hello-v2.default.svc.cluster.local": {{{service_port}: {application_port}}}
services:
- name: hello
  namespace: default
  hostname: hello.default.svc.cluster.local
  vips: ["/{net}.96.1"]
  ports: {{{service_port}: {application_port}}}
  waypoint: {{destination: "/{waypoint}", hboneMtlsPort: 15008}}   # through the waypoint
  canonical: true
- name: hello-v1
  namespace: default
  hostname: hello-v1.default.svc.cluster.local
  vips: ["/{net}.96.2"]
  ports: {{{service_port}: {application_port}}}
  canonical: true
- name: hello-v2
  namespace: default
  hostname: hello-v2.default.svc.cluster.local
  vips: ["/{net}.96.3"]
  ports: {{{service_port}: {application_port}}}
  canonical: true
"""

_FURTHER = """\
# The waypoint's further keys (docs/waypoint-configuration.md).
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {{name: versions, namespace: default}}
  spec:
    parentRefs: [{{kind: Service, group: "", name: hello, port: {service_port}}}]
    rules:
    - matches: [{{headers: [{{name: x-version, value: v2}}]}}]
      backendRefs: [{{name: hello-v2, port: {service_port}}}]
    - backendRefs:                                    # four of five get v1
      - {{name: hello-v1, port: {service_port}, weight: 80}}
      - {{name: hello-v2, port: {service_port}, weight: 20}}
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {{name: hello-readers, namespace: default}}
  spec:
    targetRefs: [{{kind: Service, group: "", name: hello}}]
    action: ALLOW
    rules:
    - from: [{{source: {{principals: ["cluster.local/ns/default/sa/sleep"]}}}}]
      to: [{{operation: {{methods: ["GET"]}}}}]
"""
