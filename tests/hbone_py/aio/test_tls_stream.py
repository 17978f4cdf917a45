"""TLS on a socket: the contract of streams but for half-close, SNI and ALPN."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.client import expecting
from hbone_py.aio.tls_handshake import shake_hands
from hbone_py.errors import StreamEnded, TlsError
from hbone_py.identity import SpiffeId
from hbone_py.tls.context import TlsSettings, client_context, server_context
from tests.support.peers import credentials_of
from tests.support.sockets import Buffers, tcp_pair, until
from tests.support.streams import (
    HALF_CLOSEABLE,
    a_megabyte_each_way_in_pieces_of_any_size,
    read_exactly,
    read_to_end,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Sequence

    from hbone_py.aio.owners import IdentityCheck
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tls_stream import TlsStream
    from tests.support.certificates import CertificateFiles, MeshCertificates
    from tests.support.streams import Question

SERVER = SpiffeId("cluster.local", "default", "server")
ISTIO = TlsSettings(tls12=True, alpn=(b"h2", b"http/1.1", b"istio-peer-exchange", b"istio"), alpn_is_demanded=False)

HALF_CLOSING = "send_eof", "a_megabyte_each_way_in_pieces_of_any_size"
QUESTIONS = [one for one in HALF_CLOSEABLE if not {*one.__code__.co_names, one.__name__} & {*HALF_CLOSING}]
"""What TLS promises too: everything but the end of one direction."""


class WithEnd:
    """For a peer that respects close_notify as the end of one direction."""

    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream
        self.send_eof = stream.send_close_notify

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


async def accepted(sock: socket.socket, files: CertificateFiles, settings: TlsSettings = ISTIO) -> TlsStream:
    context = server_context(credentials_of(files), settings)
    return await shake_hands(sock, context, check=expecting(None), seconds=5)


async def called(
    sock: socket.socket,
    files: CertificateFiles,
    *,
    check: IdentityCheck | None = None,
    server_name: str = "",
    alpn: Sequence[bytes] = (),
    seconds: float = 5,
) -> TlsStream:
    context = client_context(credentials_of(files), ISTIO)
    return await shake_hands(
        sock, context, check=check or expecting([SERVER]), seconds=seconds, server_name=server_name, alpn=alpn
    )


@contextlib.asynccontextmanager
async def pair(
    certificates: MeshCertificates, *, server_name: str = "", alpn: Sequence[bytes] = ()
) -> AsyncIterator[tuple[TlsStream, TlsStream]]:
    near, far = tcp_pair(Buffers(64 * 1024, 64 * 1024))
    async with asyncio.TaskGroup() as group:
        client = group.create_task(called(near, certificates.client, server_name=server_name, alpn=alpn))
        server = group.create_task(accepted(far, certificates.server))
    yield client.result(), server.result()
    await client.result().aclose()
    await server.result().aclose()


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__name__)
async def test_contract(reactor: Reactor, certificates: MeshCertificates, question: Question, turned: bool) -> None:
    async with asyncio.timeout(20), pair(certificates) as ends:
        await question(*(reversed(ends) if turned else ends))
    await until(lambda: not reactor.open_sockets, "every socket closed")


async def test_both_know_each_other(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with pair(certificates, server_name="outbound_.80_._.web.default") as (client, server):
        assert client.identities == (SERVER,)
        assert str(server.identity) == certificates.client.identity
        assert server.tls.server_name == "outbound_.80_._.web.default"


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        pytest.param([b"istio-http/1.1", b"istio", b"http/1.1"], "http/1.1", id="HTTP/1.1 as Istio offers it"),
        pytest.param([b"istio-h2", b"istio", b"h2"], "h2", id="HTTP/2"),
        pytest.param([b"istio-peer-exchange", b"istio"], "istio-peer-exchange", id="TCP"),
        pytest.param([b"spdy/3"], "", id="nothing in common"),
    ],
)
async def test_alpn(reactor: Reactor, certificates: MeshCertificates, offered: list[bytes], agreed: str) -> None:
    async with pair(certificates, alpn=offered) as (client, server):
        assert (client.alpn, server.alpn) == (agreed, agreed)


async def test_close_notify_ends_one_direction_for_a_peer_that_goes_on(
    reactor: Reactor, certificates: MeshCertificates
) -> None:
    async with pair(certificates) as (client, server):
        await client.send(b"question")
        await client.send_close_notify()
        assert await read_to_end(server) == b"question"  # type: ignore[arg-type]
        await server.send(b"answer")
        assert await read_exactly(client, 6) == b"answer"  # type: ignore[arg-type]
        with pytest.raises(StreamEnded):
            await client.send(b"one more thing")


async def test_a_megabyte_each_way(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with asyncio.timeout(20), pair(certificates) as (client, server):
        await a_megabyte_each_way_in_pieces_of_any_size(WithEnd(client), WithEnd(server))  # type: ignore[arg-type]


async def test_an_end_without_close_notify_is_an_error(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with pair(certificates) as (client, server):
        await server.send(b"half a sen")
        await server.leave()
        assert await read_exactly(client, 10) == b"half a sen"  # type: ignore[arg-type]
        for _ in range(2):
            with pytest.raises(TlsError):
                await client.receive()
