"""Every test of the shell runs on our event loop and on another, and must leave nothing behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from hbone_py.aio.loop import ReactorLoop
from hbone_py.aio.reactor import Reactor
from tests.support.certificates import MeshCertificates, make_mesh_certificates
from tests.support.peers import PeerMaker, check_nothing_left, client_tls, own_reactor, server_tls
from tests.support.sockets import close_all, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"reactor": ReactorLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> MeshCertificates:
    return make_mesh_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def _close_sockets() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
async def reactor() -> AsyncIterator[Reactor]:
    """The reactor of the test's loop, by real time; empty again when the test is over."""
    reactor = Reactor.current()
    yield reactor
    await until(lambda: not reactor.open_sockets, "every socket closed")
    check_nothing_left(reactor)
    reactor.close()


@pytest.fixture
async def peers(certificates: MeshCertificates) -> AsyncIterator[PeerMaker]:
    """Peers of one mesh on two reactors of their own, both by virtual time."""
    with own_reactor() as near, own_reactor() as far:
        maker = PeerMaker(client_tls(certificates.client), server_tls(certificates.server), near, far)
        yield maker
        maker.close()


@pytest.fixture
async def problems() -> list[dict[str, Any]]:
    """What the loop is told of failed handlers, instead of its log."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found
