"""Bytes into frames: any split gives the same frames, payload is never collected, nothing is looked at twice."""

from __future__ import annotations

import itertools

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py.errors import ErrorCode, RemoteProtocolError
from hbone_py.frame_reader import FrameReader
from tests.support.frames import DATA, END_STREAM, PADDED, Frame, data, ping, settings, window, wire


class Told:
    """Keeps what a reader tells."""

    def __init__(self, largest: int = 100, **more: int) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.largest_run = 0
        self.wholes = 0
        self.reader = FrameReader(self, self.frame, largest, **more)
        self.turns = 0

    def data_started(self, stream_id: int, length: int, padding: int) -> None:
        self.calls.append(("started", stream_id, length, padding))

    def whole(self, stream_id: int, payload: memoryview) -> None:
        self.wholes += 1
        self.data_started(stream_id, len(payload), 0)
        self.payload(stream_id, [payload], len(payload))

    def payload(self, stream_id: int, pieces: list[memoryview], size: int) -> None:
        assert pieces
        assert sum(map(len, pieces)) == size
        self.largest_run = max(self.largest_run, len(pieces))
        self.calls.append(("payload", stream_id, b"".join(pieces)))

    def data_ended(self, stream_id: int) -> None:
        self.calls.append(("ended", stream_id))

    def empty_end(self, stream_id: int) -> None:
        self.data_started(stream_id, 0, 0)
        self.data_ended(stream_id)

    def frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        assert type(payload) is bytes
        self.calls.append(("frame", kind, flags, stream_id, payload))

    def feed(self, *parts: bytes) -> list[tuple[object, ...]]:
        for part in parts:
            rest = len(part)
            while rest:
                rest = self.reader.feed(memoryview(part)[len(part) - rest :], rest)
                self.turns += 1
        return self.calls


def frames_() -> st.SearchStrategy[Frame]:
    stream_ids = st.sampled_from([1, 3, 5])
    payload = st.binary(max_size=60)
    plain = st.builds(data, stream_ids, payload, end=st.booleans(), pad=st.none() | st.integers(0, 30))
    other = st.builds(Frame, st.integers(1, 12), st.integers(0, 255), stream_ids, payload)
    return plain | other


EVIL = bytes(data(3, b"a frame of another stream"))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(data(1, b"payload" + EVIL), id="payload"),
        pytest.param(data(1, b"payload" + EVIL, end=True), id="payload that ends a stream"),
        pytest.param(Frame(DATA, PADDED, 1, bytes([len(EVIL) + 2]) + b"payload00" + EVIL), id="padding"),
        pytest.param(Frame(12, 0, 1, b"payload" + EVIL), id="the payload of another frame"),
    ],
)
def test_what_looks_like_a_frame_within_a_frame_is_none(frame: Frame) -> None:
    whole = bytes(frame)
    told = Told().feed(whole[: -len(EVIL)], EVIL)
    assert _streams_apart(told) == _streams_apart(Told().feed(whole))
    assert not [call for call in told if 3 in call[1:3]]


@given(st.lists(frames_(), max_size=12), st.lists(st.integers(0, 400), max_size=8))
def test_any_split_tells_the_same(frames: list[Frame], cuts: list[int]) -> None:
    whole = wire(*frames)
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    parts = [whole[start:end] for start, end in itertools.pairwise(edges)]
    byte_by_byte = [bytes([byte]) for byte in whole]
    expected = _streams_apart(Told().feed(whole))
    assert _streams_apart(Told().feed(*parts)) == expected
    assert _streams_apart(Told().feed(*byte_by_byte)) == expected
    assert expected == _by_hand(frames)


def _streams_apart(facts: list[tuple[object, ...]]) -> dict[object, list[object]]:
    """What each stream is told of payload and ends; everything else in its order."""
    apart: dict[object, list[object]] = {}
    for fact in facts:
        if fact[0] == "frame":
            apart.setdefault("others", []).append(fact)
        elif fact[0] == "payload":
            apart.setdefault(fact[1], []).extend(fact[2])  # type: ignore[arg-type]
        else:
            apart.setdefault((fact[0], fact[1]), []).append(fact)
    return apart


def _by_hand(frames: list[Frame]) -> dict[object, list[object]]:
    """The same from the frames themselves."""
    facts: list[tuple[object, ...]] = []
    for frame in frames:
        if frame.kind != DATA:
            facts.append(("frame", *frame))
            continue
        pad = frame.payload[0] if frame.flags & PADDED else None
        body = frame.payload if pad is None else frame.payload[1 : len(frame.payload) - pad]
        facts.append(("started", frame.stream_id, len(frame.payload), 0 if pad is None else pad + 1))
        if body:
            facts.append(("payload", frame.stream_id, body))
        if frame.flags & END_STREAM:
            facts.append(("ended", frame.stream_id))
    return _streams_apart(facts)


def test_payload_goes_on_as_it_arrives() -> None:
    told = Told()
    whole = wire(data(1, b"abcdef"))
    assert told.feed(whole[:11])[-1] == ("payload", 1, b"ab")
    assert told.feed(whole[11:])[-1] == ("payload", 1, b"cdef")
    assert [call[0] for call in told.calls] == ["started", "payload", "payload"]


def test_neighbouring_frames_of_one_stream_are_told_in_one_call() -> None:
    told = Told()
    told.feed(wire(*[data(1, b"x")] * 50))
    assert told.largest_run == 50
    assert [call[0] for call in told.calls] == ["started"] * 50 + ["payload"]


@pytest.mark.parametrize(
    ("frames", "wholes"),
    [
        pytest.param([data(1, b"a"), data(3, b"b"), data(1, b"c")], 3, id="of different streams"),
        pytest.param([data(1, b"a"), data(1, b"b"), data(3, b"c")], 1, id="behind neighbours"),
        pytest.param([data(1, b"a"), ping(b"12345678"), data(1, b"b")], 2, id="with another kind between"),
        pytest.param(
            [data(1, b""), data(1, b"a"), data(3, b"b", end=True)], 1, id="behind an empty one, before an end"
        ),
    ],
)
def test_a_frame_without_neighbours_is_told_in_one_call(frames: list[Frame], wholes: int) -> None:
    told = Told()
    told.feed(wire(*frames))
    assert told.wholes == wholes


def test_a_frame_is_told_before_the_fault_behind_it() -> None:
    told = Told()
    with pytest.raises(RemoteProtocolError):
        told.feed(wire(data(1, b"a"), data(1, b"b" * 101)))
    assert told.calls[-1] == ("payload", 1, b"a")


def test_payload_comes_before_the_next_frame_of_another_kind() -> None:
    told = Told()
    told.feed(wire(data(1, b"a"), ping(), data(1, b"b"), data(3, b"c"), settings()))
    assert [call[0] for call in told.calls] == [
        "started",
        "payload",
        "frame",
        "started",
        "payload",
        "started",
        "payload",
        "frame",
    ]


def test_views_are_of_the_callers_buffer() -> None:
    told = Told()
    buffer = bytearray(wire(data(1, b"abc")))
    seen: list[object] = []
    told.payload = lambda stream_id, pieces, size: seen.append(pieces[0].obj)  # type: ignore[method-assign]
    told.reader.feed(memoryview(buffer), len(buffer))
    assert seen[0] is buffer


@pytest.mark.parametrize("kind", [DATA, 1, 6, 0x77])
@pytest.mark.parametrize("split_at", [0, 3, 9])
def test_a_frame_above_the_limit_is_refused_at_its_header(kind: int, split_at: int) -> None:
    header = bytes(Frame(kind, 0, 1, bytes(101)))[:9]
    told = Told(largest=100)
    with pytest.raises(RemoteProtocolError) as refused:
        told.feed(header[:split_at], header[split_at:])
    assert refused.value.code == ErrorCode.FRAME_SIZE_ERROR
    assert told.calls == []


def test_the_largest_frame_is_taken() -> None:
    assert Told(largest=100).feed(wire(data(1, bytes(100))))[-1] == ("payload", 1, bytes(100))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(Frame(DATA, PADDED, 1), ErrorCode.FRAME_SIZE_ERROR, id="4.2: no room for padding's length"),
        pytest.param(Frame(DATA, PADDED, 1, b"\x01"), ErrorCode.PROTOCOL_ERROR, id="6.1: as much padding as payload"),
        pytest.param(Frame(DATA, PADDED, 1, b"\x05abc"), ErrorCode.PROTOCOL_ERROR, id="6.1: more padding than payload"),
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_padding_must_fit(frame: Frame, code: int, one_by_one: bool) -> None:
    whole = bytes(frame)
    told = Told()
    with pytest.raises(RemoteProtocolError) as refused:
        told.feed(*([bytes([byte]) for byte in whole] if one_by_one else [whole]))
    assert refused.value.code == code


def test_it_knows_whether_it_is_between_frames() -> None:
    told = Told()
    answers = []
    for byte in wire(window(0, 1), data(1, b"ab", pad=2)):
        answers.append(told.reader.is_between_frames)
        told.feed(bytes([byte]))
    assert [index for index, answer in enumerate(answers) if answer] == [0, 13]
    assert told.reader.is_between_frames


def test_reserved_bits_are_dropped() -> None:
    """RFC 9113 section 4.1."""
    told = Told()
    told.feed(wire(data(1 | 1 << 31, b"x"), data(1 | 1 << 31, b"y", end=True), ping()._replace(stream_id=1 << 31)))
    assert {call[1] for call in told.calls if call[0] != "frame"} == {1}
    assert told.calls[-1] == ("frame", 6, 0, 0, b"12345678")


@hypothesis.settings(max_examples=40)
@given(st.lists(frames_(), max_size=12), st.integers(0, 400), st.integers(16, 40))
def test_however_little_at_once_tells_the_same(frames: list[Frame], cut: int, at_once: int) -> None:
    whole = wire(*frames)
    told = Told(at_once=at_once)
    assert _streams_apart(told.feed(whole[:cut], whole[cut:])) == _streams_apart(Told().feed(whole))


@pytest.mark.parametrize(
    ("frame", "turns"),
    [pytest.param(ping(), 7, id="others"), pytest.param(data(1, b"x"), 1, id="DATA")],
)
def test_a_flood_is_taken_in_turns(frame: Frame, turns: int) -> None:
    told = Told(at_once=160)
    told.feed(wire(*[frame] * 65))
    assert told.turns == turns
    assert len([call for call in told.calls if call[0] in ("frame", "started")]) == 65


@pytest.mark.parametrize(("length", "turns"), [(255, 2), (256, 4), (16_384, 20)])
def test_a_large_frame_counts_as_several(length: int, turns: int) -> None:
    """However large: it is taken, if only in a turn of its own."""
    told = Told(16_384, at_once=160)
    told.feed(wire(*[Frame(0x33, 0, 1, bytes(length))] * 20))
    assert (told.turns, len(told.calls)) == (turns, 20)


def test_what_was_read_before_makes_no_later_read_shorter() -> None:
    told = Told(at_once=160)
    told.feed(*[wire(ping())] * 9, wire(*[ping()] * 10))
    assert told.turns == 10


def test_after_stop_nothing_is_heard() -> None:
    told = Told()

    def stop(kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        told.reader.stop()

    told.reader._frame = stop
    assert told.feed(wire(ping(), data(1, b"x"), settings()), wire(data(1, b"y"))) == []
