"""The world of the three paths, as data and as files: who stands where, and how its processes are started [pure but for
`lay_out`].

Everything is on loopback addresses that anybody may bind: each pod has its own, so all proxies keep the real ports.
Where nothing redirects, the two clients are entered by SOCKS5, and the sidecar of httpbin takes HBONE at its pod's
15008, while its application listens beside it (contract: S1's hop (6) in its loopback form).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.identity import SpiffeId
from lab_py.errors import Unusable
from lab_py.paths.mesh_text import APPLICATION_PORT, HELLO_PORT, mesh_text
from lab_py.redirect.names import HBONE_PORT, OUTBOUND_PORT, PLAINTEXT_PORT
from mesh_py.identity.layout import identity_folder, write_leaf
from mesh_py.identity.local_ca import LocalCa
from mesh_py.process.embedded import application, net_problem
from mesh_py.process.family import Member

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping
    from pathlib import Path

WORLD_NET = "127.3"
SOCKS_PORT, ADMIN_PORT, STATS_PORT, READY_PORT = 15_080, 15_000, 15_020, 15_021
_PROXY_PORTS = (OUTBOUND_PORT, PLAINTEXT_PORT, HBONE_PORT, ADMIN_PORT, STATS_PORT, READY_PORT)


@dataclass(frozen=True, slots=True)
class Pod:
    """A workload, and the process whose 15008 stands for it."""

    namespace: str
    name: str
    ip: str
    proxy: str
    """The process: its node's ztunnel, its sidecar, or the waypoint that it is."""
    account: str
    port: int = 0
    """Where its application listens; 0: it only calls."""
    beside: str = ""
    """The application's own address, where the sidecar has the pod's."""

    @property
    def identity(self) -> SpiffeId:
        """Whose certificate its proxy shows."""
        return SpiffeId("cluster.local", self.namespace, self.account)

    @property
    def label(self) -> str:
        """As people read it."""
        return f"{self.namespace}/{self.name}"

    @property
    def application(self) -> tuple[str, int]:
        """Where its application listens."""
        return self.beside or self.ip, self.port

    @property
    def hbone(self) -> str:
        """Where tunnels to it end."""
        return f"{self.ip}:{HBONE_PORT}"


@dataclass(frozen=True, slots=True)
class World:
    """Where everything stands. `net` is the first half of every address."""

    net: str = WORLD_NET

    def __post_init__(self) -> None:
        if (problem := net_problem(self.net, "127.3")) is not None:
            raise Unusable(problem)

    @property
    def ambient_sleep(self) -> Pod:
        """Path 1's client, on node A."""
        return Pod("ambient", "sleep", f"{self.net}.1.1", "ztunnel-a", "sleep")

    @property
    def sidecar_httpbin(self) -> Pod:
        """Path 1's server, on node B."""
        return Pod(
            "sidecar", "httpbin", f"{self.net}.2.1", "sidecar-httpbin", "httpbin", APPLICATION_PORT, f"{self.net}.2.2"
        )

    @property
    def sidecar_sleep(self) -> Pod:
        """The client of paths 2 and 3, on node A."""
        return Pod("sidecar", "sleep", f"{self.net}.1.2", "sidecar-sleep", "sleep")

    @property
    def ambient_httpbin(self) -> Pod:
        """Path 2's server, on node B."""
        return Pod("ambient", "httpbin", f"{self.net}.2.3", "ztunnel-b", "httpbin", APPLICATION_PORT)

    @property
    def waypoint(self) -> Pod:
        """Path 3's middle, on node C."""
        return Pod("ambient", "waypoint", f"{self.net}.3.1", "waypoint", "waypoint")

    def helloworld(self, version: int) -> Pod:
        """Path 3's servers: version 1 on node D, version 2 on node E."""
        node = {1: "d", 2: "e"}[version]
        return Pod(
            "ambient", f"helloworld-v{version}", f"{self.net}.4.{version}", f"ztunnel-{node}", "helloworld", HELLO_PORT
        )

    @property
    def servers(self) -> tuple[Pod, ...]:
        """Everybody who has an application."""
        return self.sidecar_httpbin, self.ambient_httpbin, self.helloworld(1), self.helloworld(2)

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Everybody."""
        return self.ambient_sleep, self.sidecar_sleep, self.waypoint, *self.servers

    def mesh_text(self) -> str:
        """The mesh, with the routes."""
        return mesh_text(self.net)

    def members(self, files: WorldFiles) -> list[Member]:
        """Every process, those that others need first."""
        return [
            *(_application(pod) for pod in self.servers),
            *(self._ztunnel(pod, files) for pod in (self.ambient_httpbin, self.helloworld(1), self.helloworld(2))),
            self._ztunnel(self.ambient_sleep, files),
            self._layer_7("waypoint_py", self.waypoint, files),
            self._layer_7("sidecar_py", self.sidecar_httpbin, files),
            self._layer_7("sidecar_py", self.sidecar_sleep, files),
        ]

    def _ztunnel(self, pod: Pod, files: WorldFiles) -> Member:
        told = {"PROXY_MODE": "node", "NODE_NAME": f"node-{pod.proxy[-1]}", "DNS_CAPTURE": "false"}
        told["LOCAL_XDS_PATH"] = str(files.node_mesh)
        socks = {} if pod.port else {"UNSTABLE_ENABLE_SOCKS5": "true", "SOCKS5_SOURCE_WORKLOAD": pod.label}
        return _proxy("ztunnel_py", pod, files, told | socks)

    def _layer_7(self, module: str, pod: Pod, files: WorldFiles) -> Member:
        told = {"PROXY_WORKLOAD_INFO": f"{pod.namespace}/{pod.name}/{pod.account}"}
        if pod.beside:
            told |= {"CAPTURED_PORTS": str(pod.port), "APP_ADDRESS": pod.beside}
        elif module == "sidecar_py":
            told["UNSTABLE_ENABLE_SOCKS5"] = "true"
        return _proxy(module, pod, files, told)


def _proxy(module: str, pod: Pod, files: WorldFiles, told: Mapping[str, str]) -> Member:
    all_are_told = {
        "PROXY_BIND_ADDRESS": pod.ip,
        "LOCAL_XDS_PATH": str(files.mesh),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(files.certificates),
        "RUST_LOG": "info,access=debug",
    }
    ports = _PROXY_PORTS if module != "waypoint_py" else _PROXY_PORTS[2:]
    socks = (SOCKS_PORT,) if "UNSTABLE_ENABLE_SOCKS5" in told else ()
    captured = (pod.port,) if pod.beside else ()
    return Member(
        pod.proxy,
        ["-m", module],
        {**all_are_told, **told},
        (pod.ip, READY_PORT, "/healthz/ready"),
        [(pod.ip, port) for port in (*ports, *socks, *captured)],
    )


def _application(pod: Pod) -> Member:
    name = f"app-{pod.name}" if pod.account != "httpbin" else f"app-{pod.namespace}-{pod.name}"
    return application(name, pod.application, pod.name)


@dataclass(frozen=True, slots=True)
class WorldFiles:
    """What the world's processes read."""

    mesh: Path
    """For everybody; people edit it."""
    node_mesh: Path
    """The same for ztunnels, which know no further keys: made from the other (`node_mesh`)."""
    certificates: Path
    """A folder per identity."""


def lay_out(world: World, files: WorldFiles, now: datetime.datetime) -> None:
    """Write the certificates, by an authority made for the purpose and thrown away. Raises OSError."""
    authority = LocalCa.throw_away(now)
    for identity in dict.fromkeys(pod.identity for pod in world.pods):
        write_leaf(identity_folder(files.certificates, identity), authority.issue(identity, now), replace=True)
