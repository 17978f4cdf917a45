"""The engine beside plain h2: the same bytes, the same events, bytes, windows and ends.

Frame by frame, so that the first difference is found where it begins. Where h2 ends a connection, the engine ends it
with the same code, or the case is one of tests/conformance/deviations.py. Never compared: when credit goes back.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from h2.exceptions import StreamClosedError
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from hbone_py import events as ev
from hbone_py.config import Http2Config
from hbone_py.connection import HboneConnection
from tests.conformance.deviations import OTHER_CODE, is_stricter_about, of_exception
from tests.fuzz.conversations import (
    Act,
    Call,
    client_hears,
    client_hears_anything,
    server_hears,
    server_hears_anything,
)
from tests.support import frames
from tests.support.frames import PREFACE, Frame, connect, pairs, wire
from tests.support.plain_h2 import PlainH2
from tests.support.playbook import held_bytes, tell

if TYPE_CHECKING:
    from hbone_py.streams import Stream

    Engine = HboneConnection | PlainH2

CONFIG = Http2Config(
    stream_window=65_535,
    connection_window=262_140,
    max_frame_size=16_384,
    max_concurrent_streams=4,
    max_header_list_server=2000,
    max_header_list_client=2000,
)
EXAMPLES = settings(max_examples=200, phases=[phase for phase in Phase if phase is not Phase.explain])


class Differ(Exception):
    """The two went apart in a way that is named; nothing more can be compared."""


class Pair:
    """The engine and plain h2, hearing and doing the same."""

    def __init__(self, *, client: bool) -> None:
        self.is_client = client
        self.ours = HboneConnection(client=client, config=CONFIG)
        self.plain = PlainH2(client=client, config=CONFIG)
        self.declared: set[int] = set()
        """Streams whose request told its length."""
        self.answered_late: set[int] = set()
        """Streams that were over when DATA came."""
        self.hear(wire(*([] if client else [PREFACE]), frames.settings()))

    def hear(self, heard: bytes) -> None:
        """Bytes from the peer, then compare. Raises Differ after a named deviation."""
        stream_id = int.from_bytes(heard[5:9])
        if heard[3] == frames.DATA and stream_id not in self.ours.streams:
            self.answered_late.add(stream_id)
        self.ours.receive_data(heard)
        self.plain.receive_data(heard)
        ours, plain = self.ours.events(), self.plain.events()
        self._compare_ends(heard)
        if self._is_stricter(heard, ours, plain):
            raise Differ("stricter")
        told, expected = [tell(happened) for happened in ours], [tell(happened) for happened in plain]
        if any(isinstance(happened, ev.GoAwayReceived) for happened in plain):
            assert told[: len(expected)] == expected
            raise Differ("GOAWAY")
        assert told == expected
        self._compare_streams()

    def _compare_ends(self, heard: bytes) -> None:
        """A connection that ended for one, or for both with different codes, must be a named case."""
        ours, plain = self.ours.ended, self.plain.ended
        if plain is None:
            if ours is not None:
                assert ours.reason.startswith(("RST_STREAM on idle", "unexpected frame of type")), ours
                raise Differ("stricter: the connection ends")
            return
        if ours is not None and ours.code == plain.code:
            raise Differ("both ended, alike")
        assert self.plain.death is not None
        if ours is not None and ours.reason == "SETTINGS with ACK and a payload":
            raise Differ("of SETTINGS with ACK and a payload h2 has another code, or sees another fault first")
        cases = of_exception(self.plain.death)
        assert cases, f"h2: {self.plain.death!r}; ours: {ours}; after {heard[:60]!r}"
        if ours is None and isinstance(self.plain.death, StreamClosedError):
            assert int.from_bytes(heard[5:9]) in self.answered_late
        if ours is not None and ours.reason.startswith("HEADERS on") and ours.reason.endswith("was passed over"):
            raise Differ("a frame with two faults: h2 reads the head first, we its stream's number")
        codes = {case.ours[-1][1] if case in OTHER_CODE else None for case in cases}
        assert (ours.code if ours else None) in codes, f"{[case.name for case in cases]}: {ours}, {heard[:60]!r}"
        raise Differ(cases[0].name)

    def _is_stricter(self, heard: bytes, ours: list[ev.Event], plain: list[ev.Event]) -> bool:
        """We found a header list malformed which h2 let pass."""
        for happened in ours:
            if isinstance(happened, ev.TunnelRequested) and happened.request.content_length is not None:
                self.declared.add(happened.stream_id)
        bad = [
            happened.stream_id
            for happened in ours
            if isinstance(happened, ev.RequestRefused | ev.TunnelReset | ev.TunnelRefused)
        ]
        if heard[3] not in (frames.HEADERS, frames.CONTINUATION) or not bad:
            return False
        ends = any(isinstance(happened, ev.TunnelEnded) for happened in plain)
        return is_stricter_about(self.plain.last_headers, ends=ends) or (ends and bad[0] in self.declared)

    def _compare_streams(self) -> None:
        """Open streams, what they hold, and what may be sent on them."""
        assert self.ours.streams.keys() == self.plain.streams.keys()
        for number, stream in self.ours.streams.items():
            other = self.plain.streams[number]
            assert held_bytes(stream) == held_bytes(other)
            assert (stream.local_open, stream.remote_open) == (other.local_open, other.remote_open)
            if stream.local_open and (stream.answered or self.is_client):
                window = max(min(stream.send_window, self.ours.send_window), 0)
                assert window == self.plain.sendable(other)

    def do(self, call: Call) -> None:
        """Our side does the same on both, where the stream's state allows it."""
        if call.name == "open":
            if self.ours.room > 0 and len(self.ours.streams) < 50:
                self.ours.open_tunnel(connect(0).payload)
                self.plain.open_tunnel(pairs(":method CONNECT", ":authority 10.1.0.2:8080"))
            return
        stream = self.ours.streams.get(call.stream_id)
        if stream is None or not self._is_allowed(call, stream):
            return
        results = [_do(engine, call) for engine in (self.ours, self.plain)]
        assert results[0] == results[1]
        self._compare_streams()

    def _is_allowed(self, call: Call, stream: Stream) -> bool:
        if call.name in ("accept", "reject"):
            return not self.is_client and not stream.answered
        if call.name == "reset":
            return True
        return stream.local_open and (stream.answered or self.is_client)


def _do(engine: Engine, call: Call) -> int | None:
    stream = engine.streams[call.stream_id]
    match call.name:
        case "accept":
            engine.accept_tunnel(stream)
        case "reject":
            engine.reject_tunnel(stream, 503)
        case "send":
            return engine.send(stream, bytes(call.argument))
        case "end":
            engine.end(stream)
        case "reset":
            engine.reset(stream, 8)
    engine.data_to_send()
    return None


def compare(acts: list[Act], *, client: bool) -> None:
    """Both go through a conversation as far as they must agree."""
    pair = Pair(client=client)
    try:
        for act in acts:
            if isinstance(act, Call):
                pair.do(act)
            else:
                pair.hear(bytes(act))
    except Differ as difference:
        event(str(difference))


@EXAMPLES
@given(server_hears)
def test_a_server_hears_what_plain_h2_hears(acts: list[Act]) -> None:
    compare(acts, client=False)


@EXAMPLES
@given(client_hears)
def test_a_client_hears_what_plain_h2_hears(acts: list[Act]) -> None:
    compare(acts, client=True)


@EXAMPLES
@given(server_hears_anything)
def test_a_server_hears_broken_conversations_alike(acts: list[Act]) -> None:
    compare(acts, client=False)


@EXAMPLES
@given(client_hears_anything)
def test_a_client_hears_broken_conversations_alike(acts: list[Act]) -> None:
    compare(acts, client=True)


# Splits ---------------------------------------------------------------------------------------------------------------


def transcript(acts: list[Act], *, client: bool, cuts: list[int] | None) -> list[object]:
    """Everything the engine says and reports, with each run of frames cut at `cuts` (None: byte by byte)."""
    engine = HboneConnection(client=client, config=CONFIG)
    said = b"".join(engine.data_to_send())
    told: list[object] = []
    streams: dict[int, Stream] = {}
    waiting = wire(*([] if client else [PREFACE]), frames.settings())
    for act in [*acts, Call("nothing", 0)]:
        if isinstance(act, Frame):
            waiting += bytes(act)
            continue
        for part in _parts(waiting, cuts):
            engine.receive_data(part)
        waiting = b""
        for happened in engine.events():
            told.append(tell(happened))
            if (stream := getattr(happened, "stream", None)) is not None:
                streams[stream.stream_id] = stream
        if act.name == "open" and engine.room > 0:
            engine.open_tunnel(connect(0).payload)
        elif (stream := engine.streams.get(act.stream_id)) and act.name == "accept" and not client:
            if not stream.answered:
                engine.accept_tunnel(stream)
        elif stream and act.name == "reset":
            engine.reset(stream, 8)
        said += b"".join(engine.data_to_send())
    held = {number: held_bytes(stream) for number, stream in streams.items()}
    return [told, held, engine.unread, sorted(engine.streams), _without_credit(said.removeprefix(PREFACE))]


def _parts(whole: bytes, cuts: list[int] | None) -> list[bytes]:
    if cuts is None:
        return [bytes([byte]) for byte in whole]
    edges = [0, *sorted({cut % (len(whole) + 1) for cut in cuts}), len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(edges) if start < end]


def _without_credit(said: bytes) -> list[Frame]:
    return [frame for frame in frames.split(said) if frame.kind != frames.WINDOW_UPDATE]


CUTS = st.lists(st.integers(0, 3000), max_size=5)


@settings(max_examples=120)
@given(server_hears_anything, CUTS)
def test_a_server_hears_the_same_in_any_split(acts: list[Act], cuts: list[int]) -> None:
    whole = transcript(acts, client=False, cuts=[])
    assert transcript(acts, client=False, cuts=cuts) == whole
    assert transcript(acts, client=False, cuts=None) == whole


@settings(max_examples=120)
@given(client_hears_anything, CUTS)
def test_a_client_hears_the_same_in_any_split(acts: list[Act], cuts: list[int]) -> None:
    whole = transcript(acts, client=True, cuts=[])
    assert transcript(acts, client=True, cuts=cuts) == whole
    assert transcript(acts, client=True, cuts=None) == whole


@pytest.mark.soak
@pytest.mark.timeout(600)
@settings(max_examples=5_000)
@given(st.booleans(), st.data())
def test_many_more_conversations(client: bool, drawn: st.DataObject) -> None:
    kinds = (client_hears, client_hears_anything) if client else (server_hears, server_hears_anything)
    compare(drawn.draw(st.one_of(*kinds)), client=client)
