"""A control plane's certificates and clients of grpcio; conversations in one process are held on both event loops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.support.certificates import CertificateFiles, TestRoot
from tests.support.discovery import GrpcioProxy
from tests.support.processes import loopback_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BY_ISTIO = {"test_real_istiod.py", "test_real_istiod_mesh.py"}
OTHER_PROCESSES = {"test_app.py", "test_our_mesh.py", "test_proxyless.py"} | _BY_ISTIO
"""There the loop under test is another one than the test's."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": loops["asyncio"]} if item.path.name in OTHER_PROCESSES else loops


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> TestRoot:
    return TestRoot(tmp_path_factory.mktemp("istiod"))


@pytest.fixture(scope="session")
def address() -> str:
    """Where servers of this session listen."""
    return loopback_address()


@pytest.fixture(scope="session")
def server_files(root: TestRoot, address: str) -> CertificateFiles:
    return root.issue_server("istiod", "localhost", "istiod.istio-system.svc", address)


@pytest.fixture
async def proxy(address, root):
    """Make clients of a port here; in plaintext unless `secure`."""
    made: list[GrpcioProxy] = []

    def make(port: int, *, secure: bool = False, pair: tuple[bytes, bytes] | None = None) -> GrpcioProxy:
        made.append(GrpcioProxy(f"{address}:{port}", root.roots.read_bytes() if secure else None, pair))
        return made[-1]

    yield make
    for client in made:
        await client.channel.close()
