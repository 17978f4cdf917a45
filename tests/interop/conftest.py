"""The peers of an interop conversation: certificates and plain Envoys once a run, two kinds of event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import uvloop

from hbone_py.aio.loop import ReactorLoop
from tests.interop.node_proxies import NodePair, NodeProxies
from tests.interop.pairs import (
    PAIRS_WITH_OURS,
    REFERENCE_PAIR,
    ClientSide,
    EnvoyClient,
    OurClient,
    Pair,
    our_credentials,
    our_server,
)
from tests.support.certificates import MeshCertificates, make_mesh_certificates
from tests.support.envoy import Envoy, start_envoy
from tests.support.processes import loopback_address

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every conversation is held twice, on our loop and on uvloop."""
    return {"reactor": ReactorLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> MeshCertificates:
    return make_mesh_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def peer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(scope="session")
def envoy_server(certificates: MeshCertificates, peer_folder: Path) -> Iterator[Envoy]:
    with start_envoy("server", peer_folder, certificates.server) as envoy:
        yield envoy


@pytest.fixture(scope="session")
def envoy_client(certificates: MeshCertificates, peer_folder: Path) -> Iterator[Envoy]:
    with start_envoy("client", peer_folder, certificates.client) as envoy:
        yield envoy


@pytest.fixture(scope="session")
def node_proxies(certificates: MeshCertificates, peer_folder: Path, envoy_server: Envoy) -> Iterator[NodeProxies]:
    with NodeProxies(peer_folder, certificates, elsewhere=envoy_server.address) as proxies:
        yield proxies


@pytest.fixture
def pod_address() -> str:
    """An address of its own for the pod of this test."""
    return loopback_address()


@pytest.fixture(params=[REFERENCE_PAIR, *PAIRS_WITH_OURS])
async def pair(request: pytest.FixtureRequest, certificates: MeshCertificates, pod_address: str) -> AsyncIterator[Pair]:
    """Every kind of client side facing every kind of server side; two Envoys are the reference for the others."""
    client_kind, _, server_kind = request.param.partition("-to-")
    if "ztunnel" in request.param:
        yield _with_node_proxies(request, client_kind, server_kind)
        return
    client: ClientSide = OurClient(our_credentials(certificates.client))
    if client_kind == "envoy":
        client = EnvoyClient(request.getfixturevalue("envoy_client"))
    if server_kind == "envoy":
        yield Pair(client, "envoy", request.getfixturevalue("envoy_server").address)
        return
    async with our_server(pod_address, certificates.server):
        yield Pair(client, "ours", pod_address)


def _with_node_proxies(request: pytest.FixtureRequest, client_kind: str, server_kind: str) -> Pair:
    nodes: NodePair = request.getfixturevalue("node_proxies").here()
    if server_kind == "envoy":
        envoy: Envoy = request.getfixturevalue("envoy_server")
        return Pair(nodes.client, "envoy", envoy.address, nodes.processes)
    client = nodes.client if client_kind == "ztunnel" else EnvoyClient(request.getfixturevalue("envoy_client"))
    return Pair(client, "ours", nodes.server.address, nodes.processes)
