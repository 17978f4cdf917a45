"""What our client says, and how it takes every answer: a raw peer plays the server, frame by frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.errors import ConnectionClosing, ConnectionLost, HboneError, StreamReset, TunnelRefused
from tests.interop.callers import Outcome, read_to_end
from tests.interop.pairs import our_credentials
from tests.support.raw_peer import (
    Code,
    Kind,
    RawPeer,
    RawServer,
    Setting,
    data,
    goaway,
    rst_stream,
    server_tls,
    setting_values,
    settings,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.certificates import MeshCertificates

pytestmark = pytest.mark.interop

AUTHORITY = "10.1.0.2:8080"


@pytest.fixture
async def conversation(
    certificates: MeshCertificates, pod_address: str
) -> AsyncIterator[tuple[hbone_py.Connection, RawPeer]]:
    """A connection of ours, and the raw server at its other end."""
    async with RawServer(pod_address, 0, server_tls(certificates.server)) as server, asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(
            hbone_py.open_connection(pod_address, server.port, credentials=our_credentials(certificates.client))
        )
        peer = await server.accept()
        await peer.expect(Kind.SETTINGS)
        connection = await opening
        yield connection, peer
        await connection.aclose()


async def asked(conversation, *more: tuple[str, str]):
    """Open a tunnel and let the raw peer accept it: our stream, its request frame."""
    connection, peer = conversation
    async with asyncio.TaskGroup() as both:
        opening = both.create_task(connection.open_tunnel(AUTHORITY, headers=list(more)))
        request = await peer.accept_tunnel()
    return opening.result(), request


async def answered(conversation, *frames_of):
    """Open a tunnel and let the raw peer answer with these frames, made from (peer, stream)."""
    connection, peer = conversation
    async with asyncio.TaskGroup() as both:
        opening = both.create_task(_outcome(connection.open_tunnel(AUTHORITY)))
        request = await peer.expect(Kind.HEADERS)
        await peer.send(*(make(peer, request.stream) for make in frames_of))
    return opening.result()


async def _outcome(opening):
    try:
        return await opening
    except HboneError as error:
        return error


def status(code: str, *, end: bool = False):
    return lambda peer, stream: peer.headers(stream, [(":status", code)], end=end)


async def test_connect_is_its_two_pseudo_headers_and_what_the_caller_adds(conversation) -> None:
    _, request = await asked(conversation, ("baggage", "k8s.namespace.name=default"))
    assert request.headers == (
        (":method", "CONNECT"),
        (":authority", AUTHORITY),
        ("baggage", "k8s.namespace.name=default"),
    )
    assert not request.is_last


async def test_settings_announce_what_the_data_plane_promises(conversation) -> None:
    _, peer = conversation
    assert setting_values(peer.received[0]) == {
        Setting.ENABLE_PUSH: 0,
        Setting.INITIAL_WINDOW_SIZE: 16 << 20,
        Setting.MAX_FRAME_SIZE: 1 << 20,
        Setting.MAX_HEADER_LIST_SIZE: 16_384,
    }


@pytest.mark.parametrize("code", ["201", "204", "299", "302", "400", "401", "403", "404", "407", "431", "503"])
@pytest.mark.parametrize("end", [True, False], ids=["ended", "left open"])
async def test_anything_but_200_is_a_refusal_and_the_connection_lives(conversation, code: str, end: bool) -> None:
    refused = await answered(conversation, status(code, end=end))
    assert isinstance(refused, TunnelRefused)
    assert refused.answered == int(code)
    stream, _ = await asked(conversation)
    await stream.send(b"the connection lives")


async def test_an_interim_answer_is_waited_through(conversation) -> None:
    stream = await answered(conversation, status("103"), status("200"))
    assert not isinstance(stream, HboneError), stream


async def test_a_200_that_ends_the_stream_is_a_tunnel_already_ended(conversation) -> None:
    stream = await answered(conversation, status("200", end=True))
    assert not isinstance(stream, HboneError), stream
    assert await read_to_end(stream) == Outcome(b"", "eof")


@pytest.mark.parametrize("code", list(Code))
async def test_a_reset_before_the_answer_fails_the_opening(conversation, code: Code) -> None:
    failed = await answered(conversation, lambda _, stream: rst_stream(stream, code))
    assert isinstance(failed, HboneError), failed
    assert code.name in str(failed)


@pytest.mark.parametrize("code", list(Code))
async def test_a_reset_of_an_open_tunnel_is_no_clean_end(conversation, code: Code) -> None:
    stream, request = await asked(conversation)
    await conversation[1].send(data(request.stream, b"some"), rst_stream(request.stream, code))
    received, ended = await read_to_end(stream)
    assert ended == "reset"
    assert b"some".startswith(received), "a reset may overtake what was not yet read"


async def test_no_error_after_the_end_of_stream_is_the_end(conversation) -> None:
    stream, request = await asked(conversation)
    await conversation[1].send(data(request.stream, b"all", end=True), rst_stream(request.stream, Code.NO_ERROR))
    assert await read_to_end(stream) == Outcome(b"all", "eof")


async def test_trailers_end_the_stream(conversation) -> None:
    stream, request = await asked(conversation)
    peer = conversation[1]
    await peer.send(data(request.stream, b"all"), peer.headers(request.stream, [("x-done", "1")], end=True))
    assert await read_to_end(stream) == Outcome(b"all", "eof")


async def test_our_abort_tells_the_upstream_connect_error(conversation) -> None:
    stream, request = await asked(conversation)
    await stream.send(b"some")
    stream.abort()
    assert await conversation[1].read_stream(request.stream) == (b"some", Code.CONNECT_ERROR)


async def test_our_end_is_end_stream_and_no_reset(conversation) -> None:
    stream, request = await asked(conversation)
    peer = conversation[1]
    await stream.send(b"all")
    await stream.send_eof()
    assert await peer.read_stream(request.stream) == (b"all", None)
    await peer.send(data(request.stream, b"answer", end=True))
    assert await read_to_end(stream) == Outcome(b"answer", "eof")
    await peer.round_trip()
    assert not [frame for frame in peer.received if frame.kind == Kind.RST_STREAM]


async def test_a_connection_cut_is_no_clean_end(conversation) -> None:
    stream, _ = await asked(conversation)
    conversation[1].abort()
    with pytest.raises((ConnectionLost, StreamReset)):
        await stream.receive()


async def test_a_goaway_lets_open_tunnels_live_and_takes_no_new_one(conversation) -> None:
    connection, peer = conversation
    stream, request = await asked(conversation)
    await peer.send(goaway(request.stream))
    await peer.round_trip()
    with pytest.raises(ConnectionClosing):
        await connection.open_tunnel(AUTHORITY)
    await peer.send(data(request.stream, b"still served", end=True))
    assert await read_to_end(stream) == Outcome(b"still served", "eof")


async def test_a_tunnel_above_the_last_stream_of_a_goaway_may_be_tried_elsewhere(conversation) -> None:
    connection, peer = conversation
    async with asyncio.TaskGroup() as both:
        opening = both.create_task(_outcome(connection.open_tunnel(AUTHORITY)))
        request = await peer.expect(Kind.HEADERS)
        await peer.send(goaway(request.stream - 2 if request.stream > 1 else 0))
    failed = opening.result()
    assert isinstance(failed, StreamReset)
    assert failed.code == Code.REFUSED_STREAM


async def test_a_window_that_shrinks_after_the_tunnel_opened_is_obeyed(conversation) -> None:
    stream, request = await asked(conversation)
    peer = conversation[1]
    await peer.send(settings({Setting.INITIAL_WINDOW_SIZE: 10}))
    await peer.round_trip()
    async with asyncio.TaskGroup() as both:
        both.create_task(stream.send(b"0123456789ABCDEF"))
        assert (await peer.expect(Kind.DATA, stream=request.stream)).payload == b"0123456789"
        await peer.round_trip()
        assert peer.received[-1].kind != Kind.DATA
        await peer.send(settings({Setting.INITIAL_WINDOW_SIZE: 16}))
        assert (await peer.expect(Kind.DATA, stream=request.stream)).payload == b"ABCDEF"


async def test_no_frame_is_larger_than_the_peer_allows(conversation) -> None:
    stream, request = await asked(conversation)
    peer = conversation[1]
    async with asyncio.TaskGroup() as both:
        both.create_task(_send_all(stream, bytes(200_000)))
        received, reset = await peer.read_stream(request.stream)
    assert (len(received), reset) == (200_000, None)
    assert max(len(frame.payload) for frame in peer.received if frame.kind == Kind.DATA) <= 16_384


async def _send_all(stream, content: bytes) -> None:
    await stream.send(content)
    await stream.send_eof()
