"""The embedded world, as data and as files: a pod with our sidecar, another with one, and an ambient pod behind a node
proxy [pure but for `lay_out`].

Everything is on loopback addresses that anybody may bind: each process has its own, so all keep the real ports. Where
nothing redirects, a sidecar listens at its application's port itself (`CAPTURED_PORTS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.identity import SpiffeId
from mesh_py.process.embedded import application, net_problem
from mesh_py.process.family import Member
from mesh_py.process.world_files import write_world
from mesh_py.settings.source import SettingsError
from sidecar_py.config import Ports

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping
    from pathlib import Path

    from mesh_py.process.world_files import WorldFiles

TRUST_DOMAIN = "cluster.local"
SLEEP, HTTPBIN, AMBIENT = (SpiffeId(TRUST_DOMAIN, "default", name) for name in ("sleep", "httpbin", "ambient"))
SERVICE_PORT = 8000
APPLICATION_PORT = 8080


@dataclass(frozen=True, slots=True)
class World:
    """Where everything stands. `net` is the first half of every address."""

    net: str = "127.1"

    def __post_init__(self) -> None:
        if (problem := net_problem(self.net, "127.1")) is not None:
            raise SettingsError(problem)

    @property
    def sleep_ip(self) -> str:
        """The client's pod, and its sidecar."""
        return f"{self.net}.1.1"

    @property
    def httpbin_ip(self) -> str:
        """A pod with a sidecar, which listens there in the application's place."""
        return f"{self.net}.2.1"

    @property
    def httpbin_app(self) -> str:
        """Where the application behind that sidecar listens."""
        return f"{self.net}.2.2"

    @property
    def ambient_ip(self) -> str:
        """A pod whose HBONE the node proxy takes."""
        return f"{self.net}.3.1"

    @property
    def socks(self) -> str:
        """Where curl finds SOCKS5."""
        return f"{self.sleep_ip}:{Ports().socks5}"

    def url(self, service: str) -> str:
        """A service by its name."""
        return f"http://{service}.default:{SERVICE_PORT}"

    def mesh_file(self, *, with_further: bool = True) -> str:
        """The mesh, with the sidecar's further keys or in the real ztunnel's own form."""
        mesh = _MESH.format(
            sleep=self.sleep_ip,
            httpbin=self.httpbin_ip,
            ambient=self.ambient_ip,
            net=self.net,
            service_port=SERVICE_PORT,
            application_port=APPLICATION_PORT,
        )
        return mesh + (_FURTHER.format(service_port=SERVICE_PORT) if with_further else "")

    def members(self, files: WorldFiles, environment: Mapping[str, str]) -> list[Member]:
        """Every process, those that others need first."""
        return [
            _application("httpbin", self.httpbin_app),
            _application("ambient", self.ambient_ip),
            self._node_proxy(files, environment),
            self._sidecar("sidecar-b", HTTPBIN, self.httpbin_ip, files, environment, self.httpbin_app),
            self._sidecar("sidecar-a", SLEEP, self.sleep_ip, files, environment),
        ]

    def _node_proxy(self, files: WorldFiles, environment: Mapping[str, str]) -> Member:
        address, ports = self.ambient_ip, Ports()
        listens = (ports.outbound, ports.plaintext, ports.inbound, ports.admin, ports.stats, ports.readiness)
        told = {
            "PROXY_MODE": "node",
            "NODE_NAME": "node-a",
            "PROXY_BIND_ADDRESS": address,
            "LOCAL_XDS_PATH": str(files.node_mesh),
            "XDS_ADDRESS": "",
            "WORKLOAD_CERT_DIR": str(files.certificates),
            "DNS_CAPTURE": "false",
        }
        return Member(
            "ztunnel",
            ["-m", "ztunnel_py"],
            {**environment, **told},
            (address, ports.readiness, "/healthz/ready"),
            [(address, port) for port in listens],
        )

    def _sidecar(
        self,
        name: str,
        identity: SpiffeId,
        address: str,
        files: WorldFiles,
        environment: Mapping[str, str],
        application: str = "",
    ) -> Member:
        ports = Ports()
        listens = [ports.outbound, ports.plaintext, ports.inbound, ports.admin, ports.stats, ports.readiness]
        told = {
            "PROXY_WORKLOAD_INFO": f"default/{identity.service_account}/{identity.service_account}",
            "PROXY_BIND_ADDRESS": address,
            "LOCAL_XDS_PATH": str(files.mesh),
            "XDS_ADDRESS": "",
            "WORKLOAD_CERT_DIR": str(files.certificates),
        }
        if application:
            told |= {"CAPTURED_PORTS": str(APPLICATION_PORT), "APP_ADDRESS": application}
            listens.append(APPLICATION_PORT)
        else:
            told["UNSTABLE_ENABLE_SOCKS5"] = "true"
            listens.append(ports.socks5)
        return Member(
            name,
            ["-m", "sidecar_py"],
            {**environment, **told},
            (address, ports.readiness, "/healthz/ready"),
            [(address, port) for port in listens],
        )


def lay_out(world: World, folder: Path, now: datetime.datetime) -> WorldFiles:
    """Write what the world's processes read. Raises OSError where the folder cannot be written."""
    return write_world(folder, now, (SLEEP, HTTPBIN, AMBIENT), world.mesh_file(), world.mesh_file(with_further=False))


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
  node: node-b
  workloadIps: ["{sleep}"]
  mutualTls: true
  services: {{}}
- uid: embedded//Pod/default/httpbin
  name: httpbin
  namespace: default
  serviceAccount: httpbin
  trustDomain: cluster.local
  clusterId: Kubernetes
  workloadName: httpbin
  workloadType: deployment
  canonicalName: httpbin
  canonicalRevision: v1
  node: node-b
  workloadIps: ["{httpbin}"]
  mutualTls: true               # it has a sidecar
  services:
    "default/httpbin.default.svc.cluster.local": {{{service_port}: {application_port}}}
- uid: embedded//Pod/default/ambient
  name: ambient
  namespace: default
  serviceAccount: ambient
  trustDomain: cluster.local
  clusterId: Kubernetes
  workloadName: ambient
  workloadType: deployment
  canonicalName: ambient
  canonicalRevision: v1
  node: node-a
  workloadIps: ["{ambient}"]
  protocol: HBONE               # its node's proxy takes HBONE
  services:
    "default/ambient.default.svc.cluster.local": {{{service_port}: {application_port}}}
services:
- name: httpbin
  namespace: default
  hostname: httpbin.default.svc.cluster.local
  vips: ["/{net}.96.1"]
  ports: {{{service_port}: {application_port}}}
  canonical: true
- name: ambient
  namespace: default
  hostname: ambient.default.svc.cluster.local
  vips: ["/{net}.96.2"]
  ports: {{{service_port}: {application_port}}}
  canonical: true
"""

_FURTHER = """\
# The sidecar's further keys (docs/sidecar-configuration.md).
labels:
  default/httpbin: {{app: httpbin}}
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {{name: split, namespace: default}}
  spec:
    parentRefs: [{{kind: Service, group: "", name: httpbin, port: {service_port}}}]
    rules:
    - matches: [{{path: {{value: /hostname}}}}]        # half of these go to the ambient pod
      backendRefs:
      - {{name: httpbin, port: {service_port}, weight: 1}}
      - {{name: ambient, port: {service_port}, weight: 1}}
    - backendRefs: [{{name: httpbin, port: {service_port}}}]
"""
