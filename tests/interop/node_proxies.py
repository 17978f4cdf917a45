"""Two nodes of ours and one of Envoy's in one mesh: started when first asked for, one of each event loop."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

from hbone_py.aio.loop import ReactorLoop
from tests.interop.pairs import ZtunnelClient
from tests.support.processes import loopback_address
from tests.support.ztunnel import Pod, Ztunnel, lay_out_certificates, mesh_yaml, start_ztunnel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import MeshCertificates
    from tests.support.processes import PeerProcess

CLIENT_NODE, SERVER_NODE, OTHER_NODE = "node-a", "node-b", "node-c"
SPARES = 12


class NodePair(NamedTuple):
    """A node proxy with a pod that calls, and another whose pod has its proxy's address."""

    client: ZtunnelClient
    server: Ztunnel

    @property
    def processes(self) -> tuple[PeerProcess, PeerProcess]:
        """Both of them."""
        return self.client.ztunnel.process, self.server.process


class NodeProxies:
    """The node proxies of a test session; `elsewhere` is a pod that Envoy serves."""

    def __init__(self, folder: Path, certificates: MeshCertificates, elsewhere: str) -> None:
        self._folder = folder
        self._elsewhere = elsewhere
        self._certificates = lay_out_certificates(
            folder / "certificates", {"client": certificates.client, "server": certificates.server}
        )
        self._started: dict[str, NodePair] = {}
        self._spares: dict[str, list[str]] = {}
        self._processes = ExitStack()

    def here(self) -> NodePair:
        """The pair whose processes run on the same kind of event loop as the caller."""
        return self.pair(loop_kind())

    def pair(self, loop: str) -> NodePair:
        """The pair whose processes run on this event loop (`reactor` or `uvloop`)."""
        if loop not in self._started:
            self._started[loop] = self._start(loop)
        return self._started[loop]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.close()

    def spare_address(self) -> str:
        """An address of the caller's mesh where it may put a server of its own, as that of one more pod."""
        self.here()
        return self._spares[loop_kind()].pop()

    def _start(self, loop: str) -> NodePair:
        pod, proxy, server = loopback_address(), loopback_address(), loopback_address()
        self._spares[loop] = [loopback_address() for _ in range(SPARES)]
        elsewhere = [self._elsewhere, *self._spares[loop]]
        mesh = self._folder / f"mesh-{loop}.yaml"
        mesh.write_text(
            mesh_yaml(
                [
                    Pod("client", "client", pod, CLIENT_NODE),
                    Pod("server", "server", server, SERVER_NODE),
                    *(Pod(f"server-{n}", "server", ip, OTHER_NODE) for n, ip in enumerate(elsewhere)),
                ]
            )
        )
        both = [self._run(proxy, CLIENT_NODE, mesh, loop), self._run(server, SERVER_NODE, mesh, loop)]
        for ztunnel in both:
            ztunnel.wait_ready()
        return NodePair(ZtunnelClient(both[0], pod), both[1])

    def _run(self, address: str, node: str, mesh: Path, loop: str) -> Ztunnel:
        return self._processes.enter_context(
            start_ztunnel(self._folder, address, node, mesh=mesh, certificates=self._certificates, loop=loop)
        )


def loop_kind() -> str:
    """`reactor` or `uvloop`: what the caller runs on."""
    return "reactor" if isinstance(asyncio.get_running_loop(), ReactorLoop) else "uvloop"
