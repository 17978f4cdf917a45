"""An HTTP/2 peer made of bytes: TLS from the standard library, frames packed here, headers by hpack.

It knows no rules, so it can break each of them; what it is sent, it hands over frame by frame. Only what
every live peer must do is done unasked: SETTINGS and PING are acknowledged (unless `polite` is off).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Self

import hpack

from tests.support.tcp_apps import drop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.certificates import CertificateFiles

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SECONDS = 10.0
"""How long a frame is awaited before the test is called failed."""

Headers = Sequence[tuple[str, str]]


class Kind(IntEnum):
    """Frame types, RFC 9113 section 6."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Code(IntEnum):
    """Error codes, RFC 9113 section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Setting(IntEnum):
    """Settings, RFC 9113 section 6.5.2 and RFC 8441."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6
    ENABLE_CONNECT_PROTOCOL = 8


END_STREAM = ACK = 0x1
END_HEADERS = 0x4


class Frame(NamedTuple):
    """One received frame; `headers` is the decoded block of a HEADERS frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def is_last(self) -> bool:
        """Whether this frame ends its direction of the stream."""
        return self.kind in (Kind.DATA, Kind.HEADERS) and bool(self.flags & END_STREAM)

    @property
    def status(self) -> str:
        return dict(self.headers).get(":status", "")

    @property
    def code(self) -> Code:
        """The error code of RST_STREAM or GOAWAY."""
        return Code(int.from_bytes(self.payload[4 * (self.kind == Kind.GOAWAY) :][:4]))


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(values: Mapping[Setting, int]) -> bytes:
    return frame(Kind.SETTINGS, 0, b"".join(struct.pack(">HI", key, value) for key, value in values.items()))


def setting_values(got: Frame) -> dict[int, int]:
    """What a SETTINGS frame says, by setting number."""
    assert got.kind == Kind.SETTINGS, got
    return dict(struct.iter_unpack(">HI", got.payload))


def data(stream: int, payload: bytes = b"", *, end: bool = False) -> bytes:
    return frame(Kind.DATA, stream, payload, END_STREAM if end else 0)


def rst_stream(stream: int, code: int) -> bytes:
    return frame(Kind.RST_STREAM, stream, struct.pack(">I", code))


def window_update(stream: int, credit: int) -> bytes:
    return frame(Kind.WINDOW_UPDATE, stream, struct.pack(">I", credit))


def goaway(last_stream: int, code: int = Code.NO_ERROR) -> bytes:
    return frame(Kind.GOAWAY, 0, struct.pack(">II", last_stream, code))


def connect_request(authority: str, *more: tuple[str, str]) -> Headers:
    """The two pseudo-headers of a CONNECT, and nothing else but `more` (RFC 9113 8.5)."""
    return [(":method", "CONNECT"), (":authority", authority), *more]


class RawPeer:
    """One end of an HTTP/2 connection. `received` keeps every frame that was read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.polite = True
        self.received: list[Frame] = []
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()
        self._next_stream = 1

    def headers(self, stream: int, fields: Headers, *, end: bool = False) -> bytes:
        """A HEADERS frame; encoded now, so it must be sent in the order it was made."""
        block = self._encoder.encode([(name, value) for name, value in fields], huffman=False)
        return frame(Kind.HEADERS, stream, block, END_HEADERS | (END_STREAM if end else 0))

    async def send(self, *frames: bytes) -> None:
        """Send these bytes, in one write."""
        self.writer.write(b"".join(frames))
        await self.writer.drain()

    async def receive(self) -> Frame | None:
        """The next frame; None when the connection has ended, cleanly or not."""
        try:
            async with asyncio.timeout(SECONDS):
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3]))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return None
        got = self._understood(Frame(head[3], head[4], int.from_bytes(head[5:]), payload))
        self.received.append(got)
        await self._answer(got)
        return got

    async def expect(self, *kinds: Kind, stream: int | None = None) -> Frame:
        """Read on to the first frame of one of `kinds`, on `stream` if given; an end before it fails."""
        while (got := await self.receive()) is not None:
            if got.kind in kinds and stream in (None, got.stream):
                return got
        raise AssertionError(f"the connection ended without {[kind.name for kind in kinds]}: {self.received}")

    async def expect_end(self) -> None:
        """Read until the other side has ended the connection."""
        while await self.receive() is not None:
            pass

    async def read_stream(self, stream: int) -> tuple[bytes, Code | None]:
        """All payload up to the stream's end, and the code if that end was a reset."""
        payload = b""
        while True:
            got = await self.expect(Kind.DATA, Kind.RST_STREAM, stream=stream)
            if got.kind == Kind.RST_STREAM:
                return payload, got.code
            payload += got.payload
            if got.is_last:
                return payload, None

    async def round_trip(self) -> None:
        """Return when the peer has answered a PING, and so has read all we sent before it."""
        mark = b"roundtrp"
        await self.send(frame(Kind.PING, 0, mark))
        while True:
            got = await self.expect(Kind.PING)
            if got.flags & ACK and got.payload == mark:
                return

    async def request(self, fields: Headers, *, end: bool = False) -> int:
        """Open the next stream with these headers, unjudged; its number."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        await self.send(self.headers(stream, fields, end=end))
        return stream

    async def open_tunnel(self, authority: str) -> int:
        """CONNECT to `authority` and await the 200; the stream's number."""
        stream = await self.request(connect_request(authority))
        answer = await self.expect(Kind.HEADERS, Kind.RST_STREAM, stream=stream)
        assert answer.status == "200", answer
        return stream

    async def accept_tunnel(self) -> Frame:
        """Await the next CONNECT and answer 200; the request's frame."""
        asked = await self.expect(Kind.HEADERS)
        await self.send(self.headers(asked.stream, [(":status", "200")]))
        return asked

    def abort(self) -> None:
        """Drop the connection without a word."""
        drop(self.writer)

    def _understood(self, got: Frame) -> Frame:
        if got.kind != Kind.HEADERS:
            return got
        assert got.flags & END_HEADERS, "a header block in several frames is not understood here"
        pad, priority = bool(got.flags & 0x8), bool(got.flags & 0x20)
        block = got.payload[pad + 5 * priority : len(got.payload) - (got.payload[0] if pad else 0)]
        return got._replace(headers=tuple((str(n), str(v)) for n, v in self._decoder.decode(block)))

    async def _answer(self, got: Frame) -> None:
        if not self.polite or got.flags & ACK:
            return
        # The peer may have gone since: reading on will tell.
        with contextlib.suppress(ConnectionError):
            if got.kind == Kind.SETTINGS:
                await self.send(frame(Kind.SETTINGS, 0, flags=ACK))
            elif got.kind == Kind.PING:
                await self.send(frame(Kind.PING, 0, got.payload, ACK))


LARGE_WINDOWS = settings({Setting.INITIAL_WINDOW_SIZE: 16 << 20}) + window_update(0, (64 << 20) - 65535)


@contextlib.asynccontextmanager
async def raw_client(
    host: str, port: int, context: ssl.SSLContext, opening: bytes = LARGE_WINDOWS
) -> AsyncIterator[RawPeer]:
    """A connection we opened: the preface and `opening` are sent. No SNI, as in the mesh."""
    reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname="")
    peer = RawPeer(reader, writer)
    try:
        await peer.send(PREFACE, opening)
        yield peer
    finally:
        peer.abort()


class RawServer:
    """Listens for the length of an `async with`; each `accept` is one connection, its preface read."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, opening: bytes = LARGE_WINDOWS) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._opening = opening
        self._accepted: asyncio.Queue[RawPeer] = asyncio.Queue()
        self._greeted: list[RawPeer] = []
        self._asking: dict[asyncio.Task[Frame], RawPeer] = {}
        self._accepting: asyncio.Task[RawPeer] | None = None
        self.peers: list[RawPeer] = []

    async def accept(self) -> RawPeer:
        async with asyncio.timeout(SECONDS):
            return await self._greet()

    async def _greet(self) -> RawPeer:
        peer = await self._accepted.get()
        assert await peer.reader.readexactly(len(PREFACE)) == PREFACE
        return peer

    async def next_tunnel(self) -> tuple[RawPeer, Frame]:
        """Answer 200 to the next CONNECT, whichever connection it comes on: a client may open another any time."""
        async with asyncio.timeout(SECONDS):
            while True:
                peer, asked = await self._next_event()
                if asked is not None:
                    await peer.send(peer.headers(asked.stream, [(":status", "200")]))
                    return peer, asked

    async def _next_event(self) -> tuple[RawPeer, Frame | None]:
        """A request, or a connection that may bring one. What is being read goes on being read by the next call."""
        loop = asyncio.get_running_loop()
        for peer in self._greeted:
            if peer not in self._asking.values():
                self._asking[loop.create_task(peer.expect(Kind.HEADERS))] = peer
        if self._accepting is None:
            self._accepting = loop.create_task(self._greet())
        done, _ = await asyncio.wait({self._accepting, *self._asking}, return_when=asyncio.FIRST_COMPLETED)
        if self._accepting in done:
            accepted, self._accepting = self._accepting.result(), None
            self._greeted.append(accepted)
            return accepted, None
        first = next(task for task in self._asking if task in done)
        return self._asking.pop(first), first.result()

    @property
    def port(self) -> int:
        return self._port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self._port, ssl=self._context, backlog=512)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in (*self._asking, *([self._accepting] if self._accepting else [])):
            task.cancel()
        for peer in self.peers:
            peer.abort()
        await self._server.wait_closed()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = RawPeer(reader, writer)
        self.peers.append(peer)
        writer.write(self._opening)
        self._accepted.put_nowait(peer)


def client_tls(files: CertificateFiles | None, roots: CertificateFiles | None = None) -> ssl.SSLContext:
    """A mesh client's context; without `files` it has no certificate to show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return _mesh_tls(context, files, roots)


def server_tls(files: CertificateFiles) -> ssl.SSLContext:
    """A mesh server's context: the client must show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _mesh_tls(context, files, None)


def _mesh_tls(
    context: ssl.SSLContext, files: CertificateFiles | None, roots: CertificateFiles | None
) -> ssl.SSLContext:
    trusted = roots or files
    assert trusted is not None, "somebody's roots are needed"
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(trusted.roots)
    if files is not None:
        context.load_cert_chain(files.chain, files.key)
    return context
