"""The peers of an interop conversation: certificates once, Envoys once a module, two kinds of event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.interop.pairs import EnvoyClient, OurClient, Pair, our_credentials, our_server
from tests.support.certificates import MeshCertificates, make_mesh_certificates
from tests.support.envoy import Envoy, start_envoy
from tests.support.processes import loopback_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every conversation is held twice, on the plain loop and on uvloop."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> MeshCertificates:
    return make_mesh_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def peer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("envoy")


@pytest.fixture(scope="module")
def envoy_server(certificates: MeshCertificates, peer_folder: Path) -> Iterator[Envoy]:
    with start_envoy("server", peer_folder, certificates.server) as envoy:
        yield envoy


@pytest.fixture(scope="module")
def envoy_client(certificates: MeshCertificates, peer_folder: Path) -> Iterator[Envoy]:
    with start_envoy("client", peer_folder, certificates.client) as envoy:
        yield envoy


@pytest.fixture
def pod_address() -> str:
    """An address of its own for the pod of this test."""
    return loopback_address()


@pytest.fixture(params=["envoy-to-envoy", "ours-to-envoy", "envoy-to-ours", "ours-to-ours"])
async def pair(request: pytest.FixtureRequest, certificates: MeshCertificates, pod_address: str) -> AsyncIterator[Pair]:
    """Every client side facing every server side; two Envoys are the reference for the others."""
    client_kind, _, server_kind = request.param.partition("-to-")
    client = (
        EnvoyClient(request.getfixturevalue("envoy_client"))
        if client_kind == "envoy"
        else OurClient(our_credentials(certificates.client))
    )
    if server_kind == "envoy":
        yield Pair(client, "envoy", request.getfixturevalue("envoy_server").address)
        return
    async with our_server(pod_address, certificates.server):
        yield Pair(client, "ours", pod_address)
