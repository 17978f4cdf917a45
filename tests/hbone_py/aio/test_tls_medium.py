"""TLS inside a tunnel: the contract of streams but for half-close, and a handshake's ways to fail."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.tls_handshake import shake_hands_inside
from hbone_py.errors import ConnectionLost, TlsError, TlsTimeout
from hbone_py.tls.context import TlsSettings, client_context, server_context
from tests.hbone_py.aio.stream_pairs import tunnels
from tests.hbone_py.aio.test_tls_stream import QUESTIONS, WithEnd
from tests.support.peers import credentials_of
from tests.support.streams import MEGABYTE, a_megabyte_each_way_in_pieces_of_any_size, read_to_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tls_stream import TlsStream
    from hbone_py.aio.tunnel_stream import TunnelStream
    from tests.support.certificates import CertificateFiles, MeshCertificates
    from tests.support.streams import Question

SETTINGS = TlsSettings(alpn=(b"h2", b"http/1.1"))


async def shaken(tunnel: TunnelStream, files: CertificateFiles, *, client: bool, seconds: float = 5) -> TlsStream:
    """Either side; that of a server is the same machine with another context."""
    make = client_context if client else server_context
    alpn = (b"http/1.1",) if client else ()
    context = make(credentials_of(files), SETTINGS)
    return await shake_hands_inside(tunnel, context, seconds=seconds, server_name="echo" if client else "", alpn=alpn)


@contextlib.asynccontextmanager
async def pair(reactor: Reactor, certificates: MeshCertificates) -> AsyncIterator[tuple[TlsStream, TlsStream]]:
    async with tunnels(reactor, certificates) as (near, far):
        async with asyncio.TaskGroup() as group:
            client = group.create_task(shaken(near, certificates.client, client=True))  # type: ignore[arg-type]
            server = group.create_task(shaken(far, certificates.server, client=False))  # type: ignore[arg-type]
        yield client.result(), server.result()
        await client.result().aclose()
        await server.result().aclose()


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__name__)
async def test_contract(reactor: Reactor, certificates: MeshCertificates, question: Question, turned: bool) -> None:
    async with asyncio.timeout(20), pair(reactor, certificates) as ends:
        await question(*(reversed(ends) if turned else ends))


async def test_every_byte_arrives_in_order(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with asyncio.timeout(20), pair(reactor, certificates) as ends:
        await a_megabyte_each_way_in_pieces_of_any_size(*map(WithEnd, ends))  # type: ignore[arg-type]


async def test_what_is_agreed_on(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with pair(reactor, certificates) as (client, server):
        assert (client.tls.alpn, server.tls.server_name) == ("http/1.1", "echo")


async def test_all_that_was_sent_arrives_before_the_end(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with asyncio.timeout(20), pair(reactor, certificates) as (client, server):

        async def send_and_close() -> None:
            await server.send(bytes(3 * MEGABYTE))  # more than the tunnel's window
            await server.aclose()

        async with asyncio.TaskGroup() as group:
            group.create_task(send_and_close())
            assert len(await read_to_end(client)) == 3 * MEGABYTE  # type: ignore[arg-type]


async def test_the_end_of_the_tunnel_is_no_end_of_tls(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with tunnels(reactor, certificates) as (near, far):
        async with asyncio.TaskGroup() as group:
            client = group.create_task(shaken(near, certificates.client, client=True))  # type: ignore[arg-type]
            group.create_task(shaken(far, certificates.server, client=False))  # type: ignore[arg-type]
        await far.send_eof()
        with pytest.raises(TlsError, match="without close_notify"):
            await read_to_end(client.result())  # type: ignore[arg-type]


async def test_what_has_arrived_is_told_before_the_loss_of_an_answer(
    reactor: Reactor, certificates: MeshCertificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_stream: TunnelStream, _data: bytes) -> int:
        raise ConnectionLost("the tunnel is gone")

    async with asyncio.timeout(5), pair(reactor, certificates) as (client, server):
        await server.send(b"before")
        assert await client.receive() == b"before"
        await server.send(b"hello")
        monkeypatch.setattr(type(client.tunnel), "send_now", broken)
        client._unsent = b"an answer that found no room"  # such as one to a KeyUpdate
        assert await client.receive() == b"hello"
        with pytest.raises(ConnectionLost, match="gone"):
            await client.receive()


async def test_a_stranger_is_refused_and_hears_why(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with tunnels(reactor, certificates) as (near, far):
        client = shaken(near, certificates.client, client=True)  # type: ignore[arg-type]
        server = shaken(far, certificates.stranger, client=False)  # type: ignore[arg-type]
        ours, theirs = await asyncio.gather(client, server, return_exceptions=True)
    assert "certificate verify failed" in str(ours)
    assert "unknown_ca" in str(theirs)


async def test_a_server_that_says_nothing_is_given_up(reactor: Reactor, certificates: MeshCertificates) -> None:
    async with tunnels(reactor, certificates) as (near, _):
        with pytest.raises(TlsTimeout):
            await shaken(near, certificates.client, client=True, seconds=0.05)  # type: ignore[arg-type]
