"""What a peer may send to a server of ours, frame by frame: nothing of it is a traceback, little of it is kept."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import random
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpclib import client, protocol
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    RequestReceived,
    StreamReset,
)
from h2.settings import SettingCodes
from hpack import NeverIndexedHeaderTuple
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
)

from hbone_py.tls import TlsSettings
from mesh_py.rpc.bearer import BearerToken
from mesh_py.rpc.channel import RpcChannel
from mesh_py.rpc.endpoint import Address, Endpoint
from mesh_py.rpc.protocol import BoundedStream, RpcProtocol, StreamLimits
from mesh_py.rpc.roots import Roots
from mesh_py.rpc.server import ServerLimits
from mesh_py.rpc.tls import LinkLimits
from tests.mesh_py.rpc.raw_client import PREFACE, REQUEST, SECONDS, RawClient, message
from tests.support.processes import eventually
from tests.support.rpc import HANG, Talk, say, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def talk():
    return Talk()


@pytest.fixture
async def server(address, talk, caplog):
    """In plaintext, so that every byte is the test's; whatever it hears leaves no traceback."""
    limits = ServerLimits(streams=StreamLimits(message=10_000, headers=4096, streams=5, unsent=100_000))
    with caplog.at_level(logging.INFO):
        async with serving(address, None, talk, limits=limits) as running:
            yield running
    assert "Traceback" not in caplog.text


@pytest.fixture
async def raw(server, address):
    reader, writer = await asyncio.open_connection(address, server[1])
    client = RawClient(reader, writer)
    client.flush()
    yield client
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_call_and_its_answer(raw):
    answer = await raw.answer(raw.call(body=message("hello")))
    assert answer["grpc-status"] == "0"
    assert '"hello"' in answer["body"]


async def test_the_first_settings_tell_what_is_allowed(raw):
    await raw.hear()
    settings = raw.h2.remote_settings
    assert settings.max_concurrent_streams == 5
    assert settings.max_header_list_size == 4096
    assert settings.initial_window_size == 1 << 20


async def test_frames_nobody_knows_are_passed_over(raw):
    """Of later RFCs, of nobody, and some that only say something in passing."""
    frames = [
        frame_of(0x10, b"\0\0\0\1u=1"),  # PRIORITY_UPDATE, RFC 9218
        frame_of(0xEE, b"?"),
        PriorityFrame(stream_id=7, depends_on=0, stream_weight=1, exclusive=False).serialize(),
        PingFrame(0, opaque_data=b"12345678").serialize(),
        SettingsFrame(0, settings={0x99: 1}).serialize(),
    ]
    raw.flush(b"".join(frames))
    assert (await raw.answer(raw.call(body=message("hello"))))["grpc-status"] == "0"


@pytest.mark.parametrize(
    ("headers", "status", "grpc_status"),
    [
        ([("x", "1"), *REQUEST], None, None),
        ([(name, value) for name, value in REQUEST if name != ":method"], None, None),
        ([(name, value) for name, value in REQUEST if name != ":path"], None, None),
        ([*REQUEST, ("X-Upper", "1")], None, None),
        ([*REQUEST, ("connection", "close")], None, None),
        ([*REQUEST, ("x-large", "x" * 5000)], None, None),
        ([(":method", "GET"), *REQUEST[1:]], "405", None),
        ([(name, value) for name, value in REQUEST if name != "te"], "400", "2"),
        ([*REQUEST[:-1], ("content-type", "text/plain")], "415", "2"),
        ([*REQUEST, ("grpc-timeout", "soon")], "200", "2"),
        ([REQUEST[0], REQUEST[1], (":path", "/nobody/Nothing"), *REQUEST[3:]], "200", "12"),
    ],
)
async def test_a_request_that_is_none(raw, headers, status, grpc_status):
    """What breaks HTTP/2 ends the connection with GOAWAY; what breaks gRPC is answered."""
    stream = raw.call(headers)
    if status is None:
        assert any(isinstance(event, ConnectionTerminated) for event in await raw.ended())
    else:
        answer = await raw.answer(stream)
        assert (answer[":status"], answer.get("grpc-status")) == (status, grpc_status)


@pytest.mark.parametrize("header", [("x-bin", "A"), ("x-bin", "AAAAA"), ("grpc-timeout", "9" * 400 + "S")])
async def test_headers_nobody_can_read_end_their_call_alone(raw, header):
    stream = raw.call([*REQUEST, header])
    assert (await raw.until(StreamReset, stream)).error_code == 1
    assert (await raw.answer(raw.call(body=message("hello"))))["grpc-status"] == "0"


async def test_binary_metadata_is_read(raw):
    assert (await raw.answer(raw.call([*REQUEST, ("x-bin", "AAEC")], message("hello"))))["grpc-status"] == "0"


async def test_a_header_that_is_not_ascii(raw):
    raw.flush()
    block = raw.h2.encoder.encode([*REQUEST, ("x", b"\xff\xfe")])
    frame = HeadersFrame(1, data=block, flags=["END_HEADERS"])
    raw.writer.write(frame.serialize())
    await raw.ended()


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (struct.pack(">BI", 0, 20_000) + b"x" * 100, Status.RESOURCE_EXHAUSTED, "more than the limit of 10000"),
        (struct.pack(">BI", 0, 0xFFFFFFFF), Status.RESOURCE_EXHAUSTED, "4294967295 bytes"),
        (struct.pack(">BI", 1, 5) + b"xxxxx", Status.UNIMPLEMENTED, "compressed"),
        (struct.pack(">BI", 0, 100) + b"x", Status.INTERNAL, "cut short"),
        (b"\0\0", Status.INTERNAL, "cut short"),
        (struct.pack(">BI", 0, 2) + b"\xff\xff", Status.INVALID_ARGUMENT, "not a google.protobuf.StringValue"),
    ],
)
async def test_a_message_that_is_none_ends_its_call_alone(raw, body, status, text):
    answer = await raw.answer(raw.call(body=body))
    assert answer["grpc-status"] == str(status.value)
    assert text in answer["grpc-message"].replace("%20", " ")
    assert (await raw.answer(raw.call(body=message("hello"))))["grpc-status"] == "0"


async def test_an_empty_message_is_one(raw):
    answer = await raw.answer(raw.call(body=message("")))
    assert answer["grpc-status"] == "0"


async def test_a_message_of_five_bytes_is_not_taken_for_a_prefix(raw):
    body = message("abc")
    assert len(body) == 10
    answer = await raw.answer(raw.call(body=body))
    assert '"abc"' in answer["body"]


async def test_a_message_in_the_smallest_pieces(raw, server):
    """A byte a frame, empty frames and padding in between."""
    stream = raw.call()
    for byte in message("x" * 50):
        raw.h2.send_data(stream, bytes((byte,)))
        raw.h2.send_data(stream, b"")
        raw.h2.send_data(stream, b"", pad_length=3)
    raw.h2.end_stream(stream)
    raw.flush()
    answer = await raw.answer(stream)
    assert "x" * 50 in answer["body"]
    (connection,) = server[0]._connections
    assert connection.protocol.connection._connection.inbound_flow_control_window >= (1 << 20) - 1000


async def test_a_call_that_is_reset_is_cancelled(raw, talk):
    stream = raw.call([REQUEST[0], REQUEST[1], (":path", HANG), *REQUEST[3:]], message(""))
    await eventually(lambda: talk.hanging == 1, "the call running")
    raw.h2.reset_stream(stream)
    raw.flush()
    await eventually(lambda: talk.cancelled == 1, "it is cancelled")


async def test_who_goes_away_takes_its_calls_along(raw, talk, server):
    raw.call([REQUEST[0], REQUEST[1], (":path", HANG), *REQUEST[3:]], message(""))
    await eventually(lambda: talk.hanging == 1, "the call running")
    raw.flush(GoAwayFrame(0, last_stream_id=0, error_code=0).serialize())
    await eventually(lambda: talk.cancelled == 1 and server[0].connections == 0, "all of it ended")


async def test_a_server_that_closes_does_not_wait_for_who_does_not_read(address):
    limits = ServerLimits(link=LinkLimits(farewell=0.1))
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30})
    client.increment_flow_control_window(1 << 30)
    client.send_headers(1, REQUEST)
    asked = message("x" * 60_000)
    for at in range(0, len(asked), 16_384):
        client.send_data(1, asked[at : at + 16_384])
    client.end_stream(1)
    async with serving(address, None, limits=limits, send_buffer=4096) as (server, port):
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, (address, port))
            await loop.sock_sendall(sock, client.data_to_send())
            await eventually(
                lambda: any(one.protocol.transport.get_write_buffer_size() for one in server._connections), "stuck"
            )
            async with asyncio.timeout(SECONDS):
                await server.aclose()
        assert server.connections == 0


async def test_data_over_the_window_ends_the_connection(raw):
    raw.call([REQUEST[0], REQUEST[1], (":path", HANG), *REQUEST[3:]])
    raw.writer.write(b"".join(DataFrame(1, data=bytes(16384)).serialize() for _ in range(70)))
    assert any(isinstance(event, ConnectionTerminated) for event in await raw.ended())


async def test_a_call_that_crosses_a_goaway_is_turned_away(raw, server):
    """Frames are looked at as they are: h2 takes none after a GOAWAY."""
    assert (await raw.answer(raw.call(body=message("hello"))))["grpc-status"] == "0"
    (connection,) = server[0]._connections
    connection.protocol.drain()
    connection.protocol.drain()
    raw.call(body=message("too late"))
    async with asyncio.timeout(SECONDS):
        frames = frames_of(await raw.reader.read())
    [goaway] = [frame for frame in frames if isinstance(frame, GoAwayFrame)]
    assert (goaway.last_stream_id, goaway.error_code) == (1, 0)
    assert [(frame.stream_id, frame.error_code) for frame in frames if isinstance(frame, RstStreamFrame)] == [(3, 7)]


def frame_of(kind: int, body: bytes) -> bytes:
    """A frame of the connection's own."""
    return len(body).to_bytes(3) + bytes((kind, 0)) + bytes(4) + body


def frames_of(data: bytes) -> list[Frame]:
    frames, rest = [], memoryview(data)
    while rest:
        frame, length = Frame.parse_frame_header(rest[:9])
        frame.parse_body(rest[9 : 9 + length])
        frames.append(frame)
        rest = rest[9 + length :]
    return frames


async def test_noise_is_never_a_traceback(server, address):
    """After the preface anything may come: the seed is printed by pytest's assertion where one fails."""
    for seed in range(60):
        dice = random.Random(seed)
        noise = dice.randbytes(dice.randrange(1, 400))
        if seed % 2:  # a header of a frame that holds it
            noise = frame_of(dice.randrange(11), noise)
        _, writer = await asyncio.open_connection(address, server[1])
        writer.write((PREFACE if seed % 3 else b"") + noise)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()
    await eventually(lambda: server[0].connections == 0, "all of them gone")


# What a server may answer ------------------------------------------------------------------------------------------

Answer = list[list[tuple[str, str]] | bytes]
"""Headers, content, headers: what a scripted server sends for a call, and then its end."""
OK = [(":status", "200"), ("content-type", "application/grpc")]


@contextlib.asynccontextmanager
async def scripted(address: str, answer: Answer, **more: Any) -> AsyncIterator[tuple[RpcChannel, list[Any]]]:
    """A channel to a server by h2 that always answers the same; also the headers of the calls it has heard."""
    heard: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        h2 = H2Connection(H2Configuration(client_side=False, validate_outbound_headers=False))
        h2.initiate_connection()
        while data := await reader.read(65536):
            for event in h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    heard.append(event.headers)
                    for part in answer:
                        is_last = part is answer[-1]
                        if isinstance(part, bytes):
                            h2.send_data(event.stream_id, part, end_stream=is_last)
                        else:
                            h2.send_headers(event.stream_id, part, end_stream=is_last)
            writer.write(h2.data_to_send())
        writer.close()

    async with await asyncio.start_server(serve, address, 0) as listener:
        where = Address(address, listener.sockets[0].getsockname()[1], is_plaintext=True)
        async with RpcChannel(Endpoint(where, Roots(), **more), TlsSettings()) as channel:
            yield channel, heard


async def test_a_token_is_kept_in_no_table_and_no_log(address, caplog):
    """On the wire it is a literal that is never indexed; hpack, which tells all headers at debug, is silent."""
    caplog.set_level(logging.DEBUG, "")
    answer: Answer = [OK, message("yes"), [("grpc-status", "0")]]
    async with scripted(address, answer, token=BearerToken("eyJ.secret.x")) as (channel, heard):
        assert (await say(channel)(StringValue(), timeout=SECONDS)).value == "yes"
    (token,) = [header for header in heard[0] if header[0] == b"authorization"]
    assert token == (b"authorization", b"Bearer eyJ.secret.x")
    assert isinstance(token, NeverIndexedHeaderTuple)
    assert "eyJ.secret.x" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ([[*OK, ("grpc-status", "7"), ("grpc-message", "no%21")]], GRPCError, "no!"),
        ([OK, message("x"), [("grpc-status", "many")]], GRPCError, "grpc-status"),
        ([OK, message("x"), [("x", "y")]], GRPCError, "grpc-status"),
        ([OK, b"\0\0\0\0\x09short", [("grpc-status", "0")]], GRPCError, "cut short"),
        ([OK, b"\1\0\0\0\1x", [("grpc-status", "0")]], GRPCError, "compressed"),
        ([OK, b"\0\0\0\0\2\xff\xff", [("grpc-status", "0")]], GRPCError, "not a google.protobuf.StringValue"),
        ([[(":status", "503")]], GRPCError, ":status"),
        ([[(":status", "200"), ("content-type", "text/html")], b"<html>"], GRPCError, "content-type"),
        ([[*OK, ("x-bin", "A")], message("x"), [("grpc-status", "0")]], StreamTerminatedError, "cannot be read"),
        ([OK, message("x"), [("grpc-status", "0"), ("x-bin", "A")]], StreamTerminatedError, "cannot be read"),
    ],
)
async def test_an_answer_that_is_none_is_an_error_callers_know(address, answer, error, text):
    async with scripted(address, answer) as (channel, _):
        with pytest.raises(error) as caught:
            await say(channel)(StringValue(), timeout=SECONDS)
    assert text in str(caught.value)


def test_what_we_override_is_where_it_was():
    """These are not all public: a grpclib that moves one must be looked at."""
    for owner, names in {
        protocol.Stream: ("recv_data",),
        protocol.Connection: ("create_stream", "get_peer", "feed", "flush", "initialize", "close", "_ping"),
        protocol.EventsProcessor: ("process", "process_request_received", "close"),
        protocol.H2Protocol: ("connection_made", "data_received", "connection_lost"),
        client.Channel: ("_create_connection", "_protocol_factory", "__connect__"),
    }.items():
        assert [name for name in names if name not in vars(owner)] == []
    assert list(inspect.signature(protocol.Stream.recv_data).parameters) == ["self", "size"]
    assert issubclass(BoundedStream, protocol.Stream)
    assert issubclass(RpcProtocol, protocol.H2Protocol)
    assert GRPCError(Status.INTERNAL).status is Status.INTERNAL
