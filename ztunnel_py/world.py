"""The embedded world, as data and as files: two nodes, a pod on each, one service [pure but for `lay_out`].

Everything is on loopback addresses that anybody may bind. Each node proxy has its own address, so both keep the real
ports; node-b's is its pod's, for HBONE is dialled at the pod.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.identity import SpiffeId
from mesh_py.identity.layout import identity_folder, write_leaf
from mesh_py.identity.local_ca import LocalCa
from mesh_py.process.editable_file import write_unless_edited
from mesh_py.process.embedded import application, net_problem
from mesh_py.process.family import Member
from mesh_py.settings.source import SettingsError
from ztunnel_py.config import Ports

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping
    from pathlib import Path

TRUST_DOMAIN = "cluster.local"
SLEEP = SpiffeId(TRUST_DOMAIN, "default", "sleep")
HTTPBIN = SpiffeId(TRUST_DOMAIN, "default", "httpbin")
HOSTNAME = "httpbin.default.svc.cluster.local"
SERVICE_PORT = 8000
APPLICATION_PORT = 8080
DNS_PORT = 15_053


@dataclass(frozen=True, slots=True)
class Node:
    """One node proxy: its name, the address of its listeners, and whether applications capture themselves by SOCKS5."""

    name: str
    address: str
    socks5: bool

    @property
    def ports(self) -> dict[str, int]:
        """Every port it listens on, by listener."""
        ports = Ports()
        found = {
            "outbound": ports.outbound,
            "plaintext": ports.plaintext,
            "inbound": ports.inbound,
            "admin": ports.admin,
            "metrics": ports.stats,
            "readiness": ports.readiness,
            "DNS": DNS_PORT,
        }
        return found | ({"SOCKS5": ports.socks5} if self.socks5 else {})


@dataclass(frozen=True, slots=True)
class World:
    """Where everything stands. `net` is the first half of every address."""

    net: str = "127.0"

    def __post_init__(self) -> None:
        if (problem := net_problem(self.net, "127.0")) is not None:
            raise SettingsError(problem)

    @property
    def node_a(self) -> Node:
        """Serves sleep, and its SOCKS5 clients."""
        return Node("node-a", f"{self.net}.0.1", socks5=True)

    @property
    def node_b(self) -> Node:
        """Serves httpbin."""
        return Node("node-b", self.httpbin_ip, socks5=False)

    @property
    def sleep_ip(self) -> str:
        """The client's pod address."""
        return f"{self.net}.1.1"

    @property
    def httpbin_ip(self) -> str:
        """The application's pod address."""
        return f"{self.net}.2.1"

    @property
    def service_ip(self) -> str:
        """The service's virtual address; nobody listens there."""
        return f"{self.net}.96.1"

    @property
    def socks(self) -> str:
        """Where curl finds SOCKS5."""
        return f"{self.node_a.address}:{Ports().socks5}"

    @property
    def url(self) -> str:
        """The application, by its service."""
        return f"http://{HOSTNAME}:{SERVICE_PORT}"

    def members(self, files: WorldFiles, environment: Mapping[str, str]) -> list[Member]:
        """Every process, those that others need first."""
        httpbin = application("httpbin", (self.httpbin_ip, APPLICATION_PORT), "httpbin")
        return [httpbin, *(_proxy(node, files, environment) for node in (self.node_b, self.node_a))]

    def mesh_file(self) -> str:
        """The mesh in the real ztunnel's own file form (hbone-controlplane 5)."""
        return _MESH.format(
            sleep=self.sleep_ip,
            httpbin=self.httpbin_ip,
            vip=self.service_ip,
            hostname=HOSTNAME,
            service_port=SERVICE_PORT,
            application_port=APPLICATION_PORT,
        )


@dataclass(frozen=True, slots=True)
class WorldFiles:
    """What the world's processes read."""

    mesh: Path
    certificates: Path
    """A folder per identity."""
    serials: dict[SpiffeId, str]
    """The serial number of each identity's certificate, decimal."""
    is_edited: bool
    """`mesh` is as its user left it."""


def lay_out(world: World, folder: Path, now: datetime.datetime) -> WorldFiles:
    """Write the mesh file and, by an authority made for the purpose and thrown away, the certificates.

    A mesh file that somebody has edited stays as it is.

    Raises:
        OSError: the folder cannot be written.
    """
    mesh = folder / "mesh.yaml"
    files = WorldFiles(mesh, folder / "certs", {}, write_unless_edited(mesh, world.mesh_file()))
    authority = LocalCa.throw_away(now)
    for identity in (SLEEP, HTTPBIN):
        leaf = authority.issue(identity, now)
        write_leaf(identity_folder(files.certificates, identity), leaf, replace=True)
        files.serials[identity] = str(leaf.certificate.serial_number)
    return files


def _proxy(node: Node, files: WorldFiles, environment: Mapping[str, str]) -> Member:
    told = {
        "PROXY_MODE": "node",
        "NODE_NAME": node.name,
        "PROXY_BIND_ADDRESS": node.address,
        "LOCAL_XDS_PATH": str(files.mesh),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(files.certificates),
        "DNS_CAPTURE": "true",
        "DNS_PROXY_ADDR": f"{node.address}:{DNS_PORT}",
    }
    if node.socks5:
        told |= {"UNSTABLE_ENABLE_SOCKS5": "true", "SOCKS5_SOURCE_WORKLOAD": "default/sleep"}
    return Member(
        node.name,
        ["-m", "ztunnel_py"],
        {**environment, **told},
        (node.address, Ports().readiness, "/healthz/ready"),
        [(node.address, port) for port in node.ports.values()],
    )


_MESH = """\
# The embedded world. The proxies follow this file: an edit takes effect at once, a broken one is reported and
# changes nothing. Try it: take the comment marks off `authorizationPolicies` and `policies`, and sleep is refused.
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
  protocol: HBONE
  # authorizationPolicies: [default/no-sleep]
  services:
    "default/{hostname}": {{{service_port}: {application_port}}}
services:
- name: httpbin
  namespace: default
  hostname: {hostname}
  vips: ["/{vip}"]
  ports: {{{service_port}: {application_port}}}
  canonical: true
# policies:
# - name: no-sleep
#   namespace: default
#   scope: WorkloadSelector
#   action: Deny
#   dryRun: false
#   rules:
#   - - - principals: [!Exact cluster.local/ns/default/sa/sleep]
"""
