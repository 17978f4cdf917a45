"""Two node proxies as processes: `sleep` on one, `server` on the other, a mesh file that both follow."""

from __future__ import annotations

import contextlib
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.pods import captured
from tests.support.processes import loopback_address
from tests.support.ztunnel import Pod, lay_out_certificates, mesh_yaml
from tests.ztunnel_py.worlds import CLEAN, COMMAND, START_SECONDS, ProxyProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.interop.callers import TcpCaller
    from tests.support.certificates import TestRoot


@dataclass(slots=True)
class Node:
    """A running node proxy, on the address of its one pod."""

    name: str
    address: str
    command: list[str]
    environment: dict[str, str]
    log_file: Path
    process: ProxyProcess = field(init=False)

    def start(self) -> None:
        """Run it, the first time or again."""
        self.process = ProxyProcess(self.command, self.log_file, self.environment)

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    @property
    def log(self) -> str:
        return self.process.output

    def get(self, path: str, port: int = 15000, method: str = "GET") -> str:
        """Ask one of its surfaces."""
        request = urllib.request.Request(f"http://{self.address}:{port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            text: str = answer.read().decode()
        return text

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("/healthz/ready", 15021))
        return False


@dataclass(slots=True)
class Nodes:
    """`sleep` and `server`, and what they were told."""

    sleep: Node
    server: Node
    mesh: Path
    certificates: Path

    def call(self, destination: str) -> AbstractAsyncContextManager[TcpCaller]:
        """A captured connection of sleep's application."""
        return captured((self.sleep.address, 15001), self.sleep.address, destination)

    def revive(self) -> None:
        """Start again whichever a test has ended; both are ready."""
        for node in (self.sleep, self.server):
            if not node.process.is_running:
                node.start()
                node.process.wait_until(node.is_ready, "ready again", START_SECONDS)

    def append(self, text: str) -> None:
        """Add to the mesh file."""
        self.mesh.write_text(self.mesh.read_text() + text)


@contextlib.contextmanager
def nodes_started(
    folder: Path,
    root: TestRoot,
    loop: str = "uvloop",
    *,
    until_ready: bool = True,
    own: Mapping[str, Mapping[str, str]] | None = None,
    **environment: str,
) -> Iterator[Nodes]:
    """Both proxies, ready unless the test waits for that itself; ended with the context.

    `own` is what only the one of that name is told.
    """
    names = ("sleep", "server")
    addresses = {name: loopback_address() for name in names}
    files = {name: root.issue(f"{name}-{folder.name}", f"default/{name}") for name in names}
    certificates = lay_out_certificates(folder / "certificates", files)
    mesh = folder / "mesh.yaml"
    mesh.write_text(mesh_yaml([Pod(name, name, addresses[name], name) for name in names]))
    told = {
        **CLEAN,
        "PROXY_MODE": "node",
        "LOCAL_XDS_PATH": str(mesh),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(certificates),
        "PROXY_PROTOCOL_CAPTURE": "true",
        **environment,
    }
    made = {}
    with contextlib.ExitStack() as running:
        for name, address in addresses.items():
            its = told | {"NODE_NAME": name, "PROXY_BIND_ADDRESS": address} | dict((own or {}).get(name, {}))
            node = made[name] = Node(name, address, [*COMMAND, "--loop", loop], its, folder / f"{name}.log")
            node.start()
            running.callback(node.stop)
        for node in made.values() if until_ready else ():
            node.process.wait_until(node.is_ready, "ready", START_SECONDS)
        yield Nodes(made["sleep"], made["server"], mesh, certificates)
