"""Two node proxies of ours that have all they know from a control plane of ours: three processes and a folder."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from mesh_py.identity.tokens import Caller, TokenKey
from tests.support.istiod import Istiod, start_istiod
from tests.support.pods import captured, fields_of
from tests.support.processes import eventually, loopback_address
from tests.ztunnel_py.nodes import Node
from tests.ztunnel_py.worlds import CLEAN, COMMAND, START_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.interop.callers import TcpCaller

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio.io/dataplane-mode: ambient}}
"""
POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default, labels: {{app: {name}}}}}
spec: {{serviceAccountName: {name}, nodeName: {name}, containers: [{{name: app}}]}}
status: {{podIP: {ip}, phase: Running}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: server, namespace: default}}
spec: {{clusterIP: {vip}, selector: {{app: server}}, ports: [{{port: 80, targetPort: {port}}}]}}
"""
NOBODY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: default}
spec: {selector: {matchLabels: {app: server}}}
"""
"""ALLOW without rules: nobody may call `server`."""


@dataclass
class JoinedMesh:
    """`sleep` and `server`, each the one pod of its node; the control plane can be ended and begun again."""

    folder: Path
    state: Path
    address: str
    flags: tuple[str, ...] = ()
    nodes: dict[str, Node] = field(default_factory=dict)
    starts: int = 0
    istiod: Istiod = field(init=False)
    _started: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def sleep(self) -> Node:
        return self.nodes["sleep"]

    @property
    def server(self) -> Node:
        return self.nodes["server"]

    @contextlib.contextmanager
    def controlled(self) -> Iterator[Istiod]:
        """The control plane runs."""
        self.starts += 1
        log = f"istiod-{self.starts}.log"
        with start_istiod(self.folder, self.state, self.address, *self.flags, log=log) as self.istiod:
            self.istiod.wait_ready()
            yield self.istiod

    def control(self) -> Istiod:
        """The control plane runs until it is killed or the mesh ends."""
        return self._started.enter_context(self.controlled())

    def end(self) -> None:
        """Nothing runs any more."""
        for node in self.nodes.values():
            if hasattr(node, "process"):
                node.stop()
        self._started.close()

    def call(self, destination: str, through: Node | None = None) -> AbstractAsyncContextManager[TcpCaller]:
        """A captured connection of sleep's application, through its own node proxy or another of its node."""
        proxy = through or self.sleep
        return captured((proxy.address, 15001), self.sleep.address, destination)

    def write(self, name: str, text: str) -> None:
        """Edit the folder."""
        (self.folder / name).write_text(text)

    def remove(self, name: str) -> None:
        """Remove a file of it."""
        (self.folder / name).unlink()

    def start_node(self, node: Node, *, on: str = "", claims: str = "", pod: str = "", **more: str) -> None:
        """Run a node proxy on the node of its name, or `on` another, with a token for that or for what it `claims`.

        `pod` is whose token it is, where that is not its own.
        """
        url, roots = self.istiod.url, str(self.istiod.roots)
        where = on or node.name
        token = self.state / f"{node.name}.token"
        name = pod or f"ztunnel-{node.name}"
        caller = Caller("istio-system", "ztunnel", name, f"uid-of-{name}", claims or where)
        token.write_text(TokenKey.open(self.state).mint(caller, time.time()))
        environment = {
            **CLEAN,
            "PROXY_MODE": "node",
            "NODE_NAME": where,
            "POD_NAME": f"ztunnel-{node.name}",
            "POD_NAMESPACE": "istio-system",
            "PROXY_BIND_ADDRESS": node.address,
            "PROXY_PROTOCOL_CAPTURE": "true",
            "XDS_ADDRESS": url,
            "XDS_ROOT_CA": roots,
            "CA_ADDRESS": url,
            "CA_ROOT_CA": roots,
            "AUTH_TOKEN": str(token),
            **more,
        }
        node.environment.clear()
        node.environment.update(environment)
        node.start()

    @contextlib.contextmanager
    def spare(self, **more: str) -> Iterator[Node]:
        """One more node proxy, as `start_node` starts it; ended with the context."""
        node = Node("spare", loopback_address(), [*COMMAND], {}, self.state / "spare.log")
        self.start_node(node, **more)
        try:
            yield node
        finally:
            node.process.kill()

    async def ready(self) -> None:
        """Both are."""
        for node in self.nodes.values():
            await eventually(node.is_ready, f"{node.name} ready", START_SECONDS)

    def synced(self) -> set[str]:
        """Node proxies that have accepted all they were sent."""
        found = self.istiod.page("syncz")
        return {
            one["proxy"].partition(".")[0]
            for one in found
            if one["types"] and all(state["state"] == "SYNCED" for state in one["types"].values())
        }


def logged(node: Node, message: str = "connection complete") -> list[dict[str, str]]:
    """The fields of all access lines of a node."""
    return [fields_of(line) for line in node.log.splitlines() if f"access\t{message}\t" in line]


Kind = TypeVar("Kind", bound=JoinedMesh)


@contextlib.contextmanager
def mesh_on(base: Path, *flags: str) -> Iterator[JoinedMesh]:
    """The folder, and nodes that are not started yet; ended with the context."""
    with mesh_of(JoinedMesh, base, *flags) as mesh:
        yield mesh


@contextlib.contextmanager
def mesh_of(kind: type[Kind], base: Path, *flags: str) -> Iterator[Kind]:
    """The same with another control plane."""
    (base / "mesh").mkdir()
    (base / "state").mkdir()
    mesh = kind(base / "mesh", base / "state", loopback_address(), flags)
    for name in ("sleep", "server"):
        mesh.nodes[name] = Node(name, loopback_address(), [*COMMAND], {}, base / f"{name}.log")
    pods = "".join(POD.format(name=node.name, ip=node.address) for node in mesh.nodes.values())
    mesh.write("mesh.yaml", NAMESPACE + pods)
    try:
        yield mesh
    finally:
        mesh.end()
