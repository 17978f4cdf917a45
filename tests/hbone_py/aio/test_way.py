"""The ways of a TLS message: plain Python says what is right, C does the same, whatever arrives in whatever pieces."""

from __future__ import annotations

import fcntl
import gc
import sys
import termios
import time
from array import array
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hbone_py.aio import native
from hbone_py.aio.loop import ReactorLoop
from hbone_py.aio.pieces import READ_SIZE
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import reset
from hbone_py.aio.way import NativeWay, Way, way_between
from hbone_py.errors import TlsError
from hbone_py.tls import openssl
from hbone_py.tls.direct import LENT_FROM, DirectEngine
from tests.hbone_py.tls.parties import Ours, connected, take
from tests.support.c_module import compiled
from tests.support.peers import client_tls, server_tls
from tests.support.sockets import ROOMY, SECONDS, TIGHT, close_all, tcp_pair

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from hbone_py.tls.context import TlsContext
    from tests.support.certificates import MeshCertificates
    from tests.support.sockets import Buffers

    MakeWay = Callable[[Reactor, socket.socket, DirectEngine], Way]

HELLO = b"hello, hello"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return compiled("hbone_py.aio._way", tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def reactor() -> Iterator[Reactor]:
    loop = ReactorLoop()
    reactor = Reactor(loop)
    yield reactor
    reactor.close()
    loop.close()


@pytest.fixture(scope="module")
def contexts(certificates: MeshCertificates) -> tuple[TlsContext, TlsContext]:
    return client_tls(certificates.client), server_tls(certificates.server)


@pytest.fixture(scope="module")
def ways(module: Any, reactor: Reactor) -> Any:
    """In C, over the reactor's buffers."""
    arguments = [*native.addresses(), *native.types()]
    return module.Ways(*arguments, reactor.ciphertext_in.view, reactor.plaintext_in.view, reactor.ciphertext_out.view)


@pytest.fixture(scope="module", params=["plain", "in C"])
def make_way(request: pytest.FixtureRequest, ways: Any) -> MakeWay:
    if request.param == "plain":
        return Way
    return lambda reactor, sock, tls: NativeWay(reactor, sock, tls, ways)


class Line:
    """An engine that shook hands, its way and its socket; and at the other end, by hand, the peer's."""

    def __init__(
        self, reactor: Reactor, make_way: MakeWay, contexts: tuple[TlsContext, TlsContext], buffers: Buffers = ROOMY
    ) -> None:
        self.reactor = reactor
        self.tls, self.peer = map(DirectEngine, contexts)
        connected(Ours(self.tls), Ours(self.peer))
        self.sock, self.far = tcp_pair(buffers)
        self.far.setblocking(True)
        self.way = make_way(reactor, self.sock, self.tls)
        self.has_ended = False
        """The peer said close_notify."""

    def arrives(self, data: bytes) -> None:
        """From the peer's kernel to ours: it is here when this returns."""
        self.far.sendall(data)
        deadline = time.monotonic() + SECONDS
        while _readable(self.sock) < len(data):
            assert time.monotonic() < deadline

    def said(self, *messages: bytes) -> bytes:
        """What the peer's engine makes of them."""
        for message in messages:
            self.peer.write(message)
        return take(self.peer)

    def read(self, most: int = READ_SIZE) -> tuple[int, bytes] | str:
        """Bytes of ciphertext, and what they say; or what went wrong."""
        try:
            size = self.way.receive(most)
        except (OSError, TlsError) as error:
            return f"{type(error).__name__}: {error}"
        said = bytes(self.reactor.plaintext_in.view[:size])
        self.reactor.plaintext_in.view[:size] = bytes(size)
        return self.way.received, said

    def send(self, first: bytes, queued: bytes = b"") -> bytes:
        """Through the reactor's outbox and the engine's queue: what the socket refused."""
        self.reactor.outbox.buffer.view[: len(first)] = first
        return self.way.send(self.reactor.outbox.buffer, len(first), queued)

    def heard(self) -> bytes | str:
        """What the peer makes of all that was sent, or what is wrong with it."""
        peer = Ours(self.peer)
        self.far.setblocking(False)
        try:
            while data := self.far.recv(1 << 16):
                peer.feed(data)
        except BlockingIOError:
            pass
        peer.step()
        return str(peer.error) if peer.error else bytes(peer.received)


def _readable(sock: socket.socket) -> int:
    """Bytes that have arrived."""
    size = array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, size)
    return size[0]


@pytest.fixture
def line(reactor: Reactor, make_way: MakeWay, contexts: tuple[TlsContext, TlsContext]) -> Line:
    return Line(reactor, make_way, contexts)


# In ------------------------------------------------------------------------------------------------------------------


def test_a_message(line: Line) -> None:
    data = line.said(HELLO)
    line.arrives(data)
    assert line.read() == (len(data), HELLO)
    assert line.read() == "BlockingIOError: [Errno 11] Resource temporarily unavailable"


def test_several_records_at_once(line: Line) -> None:
    data = line.said(b"one", b"two", b"three")
    line.arrives(data)
    assert line.read() == (len(data), b"onetwothree")


@pytest.mark.parametrize("cut", [1, 4, 5, 6, 20])
def test_a_record_in_two_pieces(line: Line, cut: int) -> None:
    """And the one behind it, which C takes again."""
    data = line.said(HELLO)
    for piece, heard in ((data[:cut], b""), (data[cut:], HELLO), (line.said(b"next"), b"next")):
        line.arrives(piece)
        assert line.read() == (len(piece), heard)


def test_no_more_than_asked_for(line: Line) -> None:
    data = line.said(HELLO)
    line.arrives(data)
    assert line.read(10) == (10, b"")
    assert line.read() == (len(data) - 10, HELLO)


def test_bulk(line: Line) -> None:
    """So much is lent to OpenSSL, and what is left of it does not confuse the small message behind it."""
    words = bytes(range(256)) * (2 * LENT_FROM // 256)
    data, heard = line.said(words), b""
    for start in range(0, len(data), 1000):
        line.arrives(data[start : start + 1000])
        heard += line.read()[1]  # type: ignore[operator]
    assert heard == words
    line.arrives(line.said(HELLO))
    assert line.read()[1] == HELLO


def test_the_end(line: Line) -> None:
    line.far.close()
    assert line.read() == (0, b"")


def test_close_notify(line: Line) -> None:
    line.peer.send_close_notify()
    data = take(line.peer)
    line.arrives(data)
    assert line.read() == (len(data), b"")
    assert line.tls.peer_closed


def test_a_broken_record(line: Line) -> None:
    """Whatever comes behind it."""
    data = bytearray(line.said(HELLO))
    data[-1] ^= 1
    for piece in (bytes(data), b"anything"):
        line.arrives(piece)
        assert line.read() == "TlsError: TLS failed: decryption failed or bad record mac; record layer failure"


def test_no_record_at_all(line: Line) -> None:
    line.arrives(b"GET / HTTP/1.1\r\n\r\n")
    assert line.read() == "TlsError: TLS failed: bad record type; record layer failure"


def test_a_reset(line: Line) -> None:
    reset(line.far)
    assert line.read() == "ConnectionResetError: [Errno 104] Connection reset by peer"


def test_a_socket_that_is_closed(line: Line) -> None:
    """Its number may be another's by now."""
    line.sock.close()
    assert line.read() == "OSError: [Errno 9] Bad file descriptor"
    with pytest.raises(OSError, match="Bad file descriptor"):
        line.send(HELLO)


def test_before_the_end_of_the_handshake_the_engine_is_fed(
    reactor: Reactor, make_way: MakeWay, contexts: tuple[TlsContext, TlsContext]
) -> None:
    client, server = map(DirectEngine, contexts)
    sock, far = tcp_pair()
    way = make_way(reactor, sock, server)
    assert not client.handshake()
    data = take(client)
    assert far.send(data) == len(data)
    assert (way.receive(READ_SIZE), way.received) == (0, len(data))
    assert not server.handshake()
    assert take(server)  # its answer


# Out -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "queued"), [(HELLO, b""), (b"", HELLO), (HELLO[:5], HELLO[5:]), (b"", b"")], ids=repr
)
def test_what_is_said_is_heard(line: Line, first: bytes, queued: bytes) -> None:
    assert line.send(first, queued) == b""
    assert line.heard() == first + queued


def test_what_was_encrypted_before_goes_first(line: Line) -> None:
    line.tls.write(b"before")
    assert line.send(HELLO) == b""
    assert line.heard() == b"before" + HELLO


def test_a_full_socket_gives_the_rest_back(
    reactor: Reactor, make_way: MakeWay, contexts: tuple[TlsContext, TlsContext]
) -> None:
    line = Line(reactor, make_way, contexts, TIGHT)
    words, refused = bytes(60_000), b""
    count = 0
    while not refused:
        refused = line.send(words)
        count += 1
    assert len(refused) < 61_000
    heard = Ours(line.peer)
    line.far.setblocking(False)
    while len(heard.received) < count * len(words):
        try:
            heard.feed(line.far.recv(1 << 16))
        except BlockingIOError:
            assert refused
            with suppress(BlockingIOError):
                refused = refused[line.sock.send(refused) :]
        heard.step()
    assert bytes(heard.received) == bytes(count * len(words))


def test_nobody_hears(line: Line) -> None:
    reset(line.far)
    with pytest.raises(ConnectionResetError):
        line.send(HELLO)
    with pytest.raises(BrokenPipeError):
        line.send(HELLO)


def test_too_early(reactor: Reactor, make_way: MakeWay, contexts: tuple[TlsContext, TlsContext]) -> None:
    """OpenSSL encrypts nothing before the handshake is over."""
    way = make_way(reactor, tcp_pair()[0], DirectEngine(contexts[0]))
    with pytest.raises(TlsError, match="TLS failed"):
        way.send(reactor.outbox.buffer, 0, HELLO)


# Both, in parallel ---------------------------------------------------------------------------------------------------

WORDS = st.integers(0, 40_000).map(bytes)
CUTS = st.lists(st.integers(1, 20_000), max_size=6)
STEPS = st.one_of(
    st.tuples(st.just("says"), st.lists(WORDS, min_size=1, max_size=4), CUTS),
    st.tuples(st.just("breaks"), st.integers(0, 60), st.integers(1, 255)),
    st.tuples(st.just("talks nonsense"), st.binary(min_size=1, max_size=60)),
    st.tuples(st.just("ends")),
    st.tuples(st.just("is answered"), WORDS, WORDS),
)


def outcomes(line: Line, steps: list[tuple[Any, ...]]) -> list[object]:
    """What comes of it, step by step; what differs from connection to connection is its ciphertext only."""
    found: list[object] = []
    for kind, *how in steps:
        if kind == "is answered":
            try:
                refused = line.send(*how)
            except (OSError, TlsError) as error:
                found.append(repr(error))
            else:
                found += [len(refused), bool(refused) or line.heard()]
                line.far.setblocking(True)
                if refused:
                    return found
            continue
        for piece in pieces(line, kind, how):
            line.arrives(piece)
            found += [line.read(), line.tls.peer_closed]
    return found


def pieces(line: Line, kind: str, how: list[Any]) -> Iterator[bytes]:
    match kind:
        case "says" | "breaks" if line.has_ended:
            pass
        case "says":
            data = line.said(*how[0])
            for cut in how[1]:
                yield from filter(None, [data[:cut]])
                data = data[cut:]
            while data:
                yield data[:3000]
                data = data[3000:]
        case "breaks":
            broken = bytearray(line.said(HELLO))
            broken[how[0] % len(broken)] ^= how[1]
            yield bytes(broken)
        case "talks nonsense":
            yield how[0]
        case "ends":
            line.has_ended = True
            line.peer.send_close_notify()
            yield from filter(None, [take(line.peer)])


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=8))
@example(steps=[("breaks", 3, 1), ("says", [HELLO], [])])  # a length that is not the record's
@example(steps=[("says", [HELLO, HELLO], [5]), ("ends",), ("says", [HELLO], [])])
def test_c_does_what_python_does(
    reactor: Reactor, ways: Any, contexts: tuple[TlsContext, TlsContext], steps: list[tuple[Any, ...]]
) -> None:
    plain = outcomes(Line(reactor, Way, contexts), steps)
    in_c = outcomes(Line(reactor, lambda *what: NativeWay(what[0], what[1], what[2], ways), contexts), steps)
    close_all()
    assert in_c == plain


# C believes nobody ---------------------------------------------------------------------------------------------------


def test_arguments_are_checked(ways: Any, reactor: Reactor, contexts: tuple[TlsContext, TlsContext]) -> None:
    tls, sock, view = DirectEngine(contexts[0]), tcp_pair()[0], reactor.outbox.buffer.view
    ssl, bio = tls._ssl, tls._input
    null = openssl.ffi.NULL
    receives: list[tuple[tuple[Any, ...], type[Exception]]] = [
        ((sock, ssl, bio, reactor.ciphertext_in.size + 1, True), ValueError),
        ((sock, ssl, bio, -1, True), ValueError),
        ((sock, ssl, bio, "all", True), TypeError),
        ((sock, bio, ssl, 100, True), TypeError),
        ((sock, null, bio, 100, True), ValueError),
        ((sock, 4711, bio, 100, True), TypeError),
        ((None, ssl, bio, 100, True), TypeError),
        ((sock, ssl, bio, 100), TypeError),
    ]
    sends: list[tuple[tuple[Any, ...], type[Exception]]] = [
        ((sock, ssl, bio, view, len(view) + 1, b""), ValueError),
        ((sock, ssl, bio, view, -1, b""), ValueError),
        ((sock, ssl, bio, None, 1, b""), TypeError),
        ((sock, ssl, bio, view, 0, "text"), TypeError),
        ((sock, bio, bio, view, 0, b""), TypeError),
        ((sock, ssl, null, view, 0, b""), ValueError),
        ((sock, ssl, bio, view, 0), TypeError),
    ]
    for method, calls in ((ways.receive, receives), (ways.send, sends)):
        for wrong, error in calls:
            with pytest.raises(error):
                method(*wrong)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({4: "SSL *"}, TypeError),
        ({5: None}, TypeError),
        ({6: b"read only"}, TypeError),
        ({7: bytearray(100)}, ValueError),
        ({8: bytearray(0)}, ValueError),
        ({0: -1.5}, TypeError),
    ],
    ids=repr,
)
def test_what_it_is_made_of_is_checked(module: Any, change: dict[int, Any], error: type[Exception]) -> None:
    arguments = [*native.addresses(), *native.types(), *(bytearray(READ_SIZE) for _ in range(3))]
    module.Ways(*arguments)
    with pytest.raises(error):
        module.Ways(*(change.get(place, argument) for place, argument in enumerate(arguments)))


def test_it_holds_its_buffers_and_lets_go_of_them(module: Any) -> None:
    buffers = [bytearray(READ_SIZE) for _ in range(3)]
    types = native.types()
    gc.collect()
    before = [sys.getrefcount(one) for one in types]
    made = [module.Ways(*native.addresses(), *types, *buffers) for _ in range(100)]
    for buffer in buffers:
        with pytest.raises(BufferError):
            buffer.append(0)
    del made
    gc.collect()
    assert [sys.getrefcount(one) for one in types] == before
    for buffer in buffers:
        buffer.append(0)


# Which of the two -------------------------------------------------------------------------------------------------


@contextmanager
def replaced(reactor: Reactor, ways: Any) -> Iterator[None]:
    before, reactor.ways = reactor.ways, ways
    try:
        yield
    finally:
        reactor.ways = before


def test_c_where_it_is_there_and_can(reactor: Reactor, ways: Any, contexts: tuple[TlsContext, TlsContext]) -> None:
    tls, sock = DirectEngine(contexts[0]), tcp_pair()[0]

    class NoSocket:
        recv_into = send = None

    with replaced(reactor, ways):
        assert type(way_between(reactor, sock, tls)) is NativeWay
        assert type(way_between(reactor, NoSocket(), tls)) is Way  # type: ignore[arg-type]
    with replaced(reactor, None):
        assert type(way_between(reactor, sock, tls)) is Way
