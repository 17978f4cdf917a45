"""Whatever a peer sends: no exception escapes, an ended connection stays ended, memory stays bounded."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbone_py.baggage import parse_baggage
from hbone_py.config import Http2Config
from hbone_py.connect import parse_authority, parse_forwarded_host, parse_traceparent, read_request, read_status
from hbone_py.connection import HboneConnection
from hbone_py.errors import BadConnect, HboneError, MalformedRequest, RemoteProtocolError
from hbone_py.header_reader import HeaderReader
from tests.fuzz.conversations import Act, client_hears_anything, server_hears_anything
from tests.support import frames
from tests.support.frames import PREFACE, Frame, connect, continuation, data, headers, headers_of, ping, rst, wire

SMALL = Http2Config(stream_window=65_535, connection_window=262_140, max_frame_size=16_384, max_concurrent_streams=5)

noise = st.binary(max_size=300)
any_frame = st.builds(
    Frame,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 9) | st.integers(0, 2**32 - 1),
    st.binary(max_size=40),
)
any_bytes = st.lists(any_frame.map(bytes) | noise, max_size=12).map(b"".join)


def check(engine: HboneConnection) -> None:
    """What must be true of every engine at any time."""
    said = b"".join(engine.data_to_send()).removeprefix(PREFACE)
    kinds = [frame.kind for frame in frames.split(said)]
    assert (engine.ended is not None) == (frames.GOAWAY in kinds)
    assert kinds.count(frames.GOAWAY) <= 1
    assert 0 <= engine.unread <= SMALL.connection_window
    assert engine.ledger.used == engine.unread
    assert len(engine.streams) <= (SMALL.max_concurrent_streams if not engine.is_client else 100)
    assert sum(stream.unread for stream in engine.streams.values()) <= engine.unread
    for number, stream in engine.streams.items():
        assert (stream.stream_id, stream.local_open or stream.remote_open) == (number, True)
        assert sum(map(len, stream.held)) == stream.unread


def started(*, client: bool) -> HboneConnection:
    """An engine that has heard SETTINGS, with streams of its own if it is a client."""
    engine = HboneConnection(client=client, config=SMALL)
    engine.receive_data(wire(*([] if client else [PREFACE]), frames.settings()))
    for _ in range(3 if client else 0):
        engine.open_tunnel(connect(0).payload)
    engine.data_to_send()
    return engine


@given(st.booleans(), st.lists(any_bytes, max_size=4))
def test_any_bytes_at_all(client: bool, parts: list[bytes]) -> None:
    engine = started(client=client)
    for part in parts:
        was_over = engine.ended
        engine.receive_data(part)
        assert not was_over or engine.ended is was_over
    check(engine)


@given(st.booleans(), any_bytes)
def test_any_first_bytes(client: bool, heard: bytes) -> None:
    engine = HboneConnection(client=client, config=SMALL)
    engine.receive_data(heard)
    check(engine)


@given(st.booleans(), st.data())
def test_broken_conversations(client: bool, drawn: st.DataObject) -> None:
    acts: list[Act] = drawn.draw(client_hears_anything if client else server_hears_anything)
    engine = started(client=client)
    engine.receive_data(wire(*[act for act in acts if isinstance(act, Frame)]))
    check(engine)


@settings(max_examples=300)
@given(noise, st.integers(1, 500))
def test_any_header_block(block: bytes, limit: int) -> None:
    reader = HeaderReader(limit)
    with suppress(RemoteProtocolError):
        lines, is_oversize = reader.decode(block)
        assert is_oversize == (sum(len(name) + len(value) + 32 for name, value in lines) > limit)
        assert all(type(name) is bytes and type(value) is bytes for name, value in lines)


names = st.sampled_from(
    [b":method", b":authority", b":path", b"host", b"te", b"content-length", b":status", b"baggage"]
)
values = st.sampled_from([b"CONNECT", b"GET", b"a:1", b"/", b"5", b"trailers", b"200"])
header_lists = st.lists(st.tuples(names | noise, values | noise), max_size=6)


@settings(max_examples=300)
@given(header_lists)
def test_any_header_list(lines: list[tuple[bytes, bytes]]) -> None:
    with suppress(MalformedRequest, BadConnect):
        request = read_request(lines)
        assert request.authority.isprintable()
    with suppress(MalformedRequest):
        assert 100 <= read_status(lines) <= 999


@settings(max_examples=300)
@given(st.text(max_size=60) | st.from_regex(r"\[?[0-9a-fA-F:.%]{0,40}\]?:[0-9]{0,6}", fullmatch=True))
def test_any_authority(text: str) -> None:
    with suppress(BadConnect):
        authority = parse_authority(text)
        assert 0 <= authority.port <= 65_535
        assert parse_authority(str(authority)) == authority


@given(st.lists(noise | st.from_regex(rb"(k8s|service|cloud)\.[a-z_.]{0,30}=[^,]{0,20}(,.{0,20})?"), max_size=4))
def test_any_baggage(values: list[bytes]) -> None:
    baggage = parse_baggage(values)
    if baggage is not None:
        assert str(baggage).isprintable()


@given(noise | st.binary(min_size=55, max_size=55) | st.from_regex(rb"(for=x;)?host=.{0,20}"))
def test_any_small_header(value: bytes) -> None:
    trace, host = parse_traceparent(value), parse_forwarded_host(value)
    assert trace is None or len(trace) == 32
    assert host != ""


# Bounds ---------------------------------------------------------------------------------------------------------------

NUMBERS = range(1, 200_001, 2)
FLOODS = {
    "new tunnels, cancelled at once": lambda: (wire(connect(number), rst(number, 8)) for number in NUMBERS),
    "new tunnels above the limit": lambda: (wire(connect(number)) for number in NUMBERS),
    "bad tunnels": lambda: (wire(headers(number, ":method CONNECT")) for number in NUMBERS),
    "other methods": lambda: (
        wire(headers(number, ":method GET", ":scheme a", ":path /", end=True)) for number in NUMBERS
    ),
    "tunnels with great headers": lambda: (wire(connect(number, "a:1", "x " + "y" * 15_000)) for number in NUMBERS),
    "numbers passed over": lambda: (wire(connect(number), rst(number, 8)) for number in range(1, 800_001, 8)),
    "DATA nobody reads": lambda: (wire(data(1, bytes(16_000))) for _ in NUMBERS),
    "DATA byte by byte": lambda: (wire(*[data(1, b"x")] * 100) for _ in NUMBERS),
    "DATA of padding": lambda: (wire(data(1, b"", pad=255)) for _ in NUMBERS),
    "DATA of nothing": lambda: (wire(*[data(1)] * 50) for _ in NUMBERS),
    "DATA for a dead stream": lambda: (wire(data(3, bytes(1000))) for _ in NUMBERS),
    "PINGs": lambda: (wire(*[ping()] * 3) for _ in NUMBERS),
    "SETTINGS": lambda: (wire(frames.settings({1: 0, 4: number})) for number in NUMBERS),
    "CONTINUATIONs": lambda: (
        wire(headers_of(5, b"", last=False), continuation(5, bytes(1000), last=False)) for _ in NUMBERS
    ),
    "unknown frames": lambda: (wire(Frame(0x77, 0, 0, bytes(10_000))) for _ in NUMBERS),
    "compressed names that fill the table": lambda: (
        wire(headers_of(number, b"\x40\x03" + b"%3d" % (number % 997) + b"\x01x"), rst(number, 8)) for number in NUMBERS
    ),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_costs_bounded_memory(flood: str) -> None:
    """A driver takes what is said and told as it goes; what stays in the engine must not grow."""
    engine = HboneConnection(client=False, config=SMALL)
    engine.receive_data(wire(PREFACE, frames.settings(), connect(1), connect(3)))
    engine.reset(engine.streams[3], 8)
    tracemalloc.start()
    try:
        for count, heard in enumerate(FLOODS[flood]()):
            engine.receive_data(heard)
            engine.data_to_send()
            engine.events()
            if engine.ended or count == 1500:
                break
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert engine.ended or count == 1500
    assert grown < 1_000_000


def test_errors_of_the_engine_are_ours() -> None:
    assert issubclass(RemoteProtocolError, HboneError)
