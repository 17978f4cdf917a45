"""A control plane's certificates, and channels to it. What touches transports is held on both event loops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from hbone_py.tls import TlsSettings
from mesh_py.rpc.channel import RpcChannel
from tests.support.certificates import CertificateFiles, TestRoot
from tests.support.processes import loopback_address
from tests.support.rpc import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mesh_py.rpc.channel import ChannelLimits


ON_BOTH_LOOPS = ("test_channel", "test_server", "test_tls")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return loops if item.path.stem in ON_BOTH_LOOPS else {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> TestRoot:
    return TestRoot(tmp_path_factory.mktemp("control-plane"))


@pytest.fixture(scope="session")
def address() -> str:
    """Where servers of this session listen."""
    return loopback_address()


@pytest.fixture(scope="session")
def server_files(root: TestRoot, address: str) -> CertificateFiles:
    return root.issue_server("istiod", "localhost", "istiod.istio-system.svc", address)


@pytest.fixture
async def open_channel(address, server_files):
    """Make channels to a port here; closed at the end."""
    made: list[RpcChannel] = []

    def make(port: int, tls: TlsSettings | None = None, limits: ChannelLimits | None = None, **more) -> RpcChannel:
        endpoint = more.pop("endpoint", None) or endpoint_of(address, port, server_files, **more)
        made.append(RpcChannel(endpoint, tls or TlsSettings(), limits=limits))
        return made[-1]

    yield make
    for channel in made:
        channel.close()
