"""The ways in which a handshake fails, and what each side hears of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.client import expecting
from hbone_py.aio.tls_handshake import shake_hands
from hbone_py.errors import ConnectionLost, HboneError, PeerIdentityError, TlsError, TlsTimeout
from hbone_py.tls.context import client_context
from hbone_py.tls.credentials import Credentials
from tests.hbone_py.aio.test_tls_stream import ISTIO, accepted, called
from tests.support.sockets import dialled, tcp_pair
from tests.support.tcp_apps import TcpApp, hold

if TYPE_CHECKING:
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tls_stream import TlsStream
    from tests.support.certificates import MeshCertificates


async def refused(client: TlsStream) -> HboneError:
    """In TLS 1.3 a client hears with its first read that its certificate is not taken."""
    with pytest.raises(HboneError) as caught:
        await client.receive()
    await client.aclose()
    return caught.value


async def test_a_server_that_is_somebody_else_is_left(reactor: Reactor, certificates: MeshCertificates) -> None:
    near, far = tcp_pair()
    async with asyncio.TaskGroup() as group:
        server = group.create_task(accepted(far, certificates.client))
        with pytest.raises(PeerIdentityError, match="did not present the expected SAN"):
            await called(near, certificates.client)
    await refused(server.result())


async def test_a_stranger_is_refused(reactor: Reactor, certificates: MeshCertificates) -> None:
    near, far = tcp_pair()
    stranger = certificates.stranger
    trusting = client_context(Credentials.from_files(stranger.chain, stranger.key, certificates.server.roots), ISTIO)
    async with asyncio.TaskGroup() as group:
        client = group.create_task(shake_hands(near, trusting, check=expecting(None), seconds=5))
        with pytest.raises(TlsError, match="certificate verify failed"):
            await accepted(far, certificates.server)
    assert "unknown" in str(await refused(client.result())).lower()


async def test_a_silent_server_is_left_in_time(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with TcpApp(hold) as silent:
        with pytest.raises(TlsTimeout):
            await called(dialled(silent.host, silent.port), certificates.client, seconds=0.05)


async def test_a_server_that_hangs_up(reactor: Reactor, certificates: MeshCertificates) -> None:
    near, far = tcp_pair()
    far.close()
    with pytest.raises((TlsError, ConnectionLost)):
        await called(near, certificates.client)
