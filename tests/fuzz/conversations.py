"""Drawn conversations: what a peer sends, sensible for the most part, and what our side does meanwhile.

A conversation is drawn as a list of ideas ("data on some stream that is known") and then spelled out, so that each
idea can fall away when hypothesis looks for the shortest failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hpack import Encoder
from hypothesis import strategies as st

from tests.support.frames import (
    Frame,
    block,
    continuation,
    data,
    goaway,
    headers,
    headers_of,
    pairs,
    ping,
    priority,
    rst,
    settings,
    window,
)


class Call(NamedTuple):
    """Our side does something with a stream, if its state allows that."""

    name: str
    stream_id: int
    argument: int = 0


Act = Frame | Call


class Speaker:
    """What has been said so far, as far as it decides what may come next."""

    def __init__(self) -> None:
        self.newest = -1
        self.encoder = Encoder()

    def known(self, pick: int) -> int:
        """The number of a stream that is likely in use."""
        return 2 * (pick % max((self.newest + 1) // 2, 1)) + 1


Idea = Callable[[Speaker], Act]

PICK = st.integers(0, 7)
SELDOM = st.sampled_from([False, False, False, True])
CODES = st.sampled_from([0, 1, 5, 7, 8, 10, 0x77])
CONNECT = (":method CONNECT", ":authority 10.1.0.2:8080")
GOOD_REQUESTS = [
    *[CONNECT] * 8,
    (*CONNECT, "baggage a=b"),
    (*CONNECT, "content-length 9"),
    (":method GET", ":scheme https", ":path /", ":authority a"),
]
BAD_REQUESTS = [
    (*CONNECT, ":path /"),
    (*CONNECT, "Upper 1"),
    (*CONNECT, "connection close"),
    (*CONNECT, "x a\nb"),
    (":method CONNECT",),
    ("x 1", *CONNECT),
    (*CONNECT, f"long {'x' * 2500}"),
    (":method GET", ":path /"),
]
GOOD_ANSWERS = [*[(":status 200",)] * 8, (":status 200", "baggage a=b"), (":status 401",), (":status 103",)]
BAD_ANSWERS = [("x 1",), (":status 200", ":path /"), (":status 200", "Upper 1"), (":status 200", ":status 200")]


def _request(lines: tuple[str, ...], end: bool, compressed: bool, pad: int | None, step: int) -> Idea:
    def idea(speaker: Speaker) -> Frame:
        speaker.newest += step
        made = speaker.encoder.encode(pairs(*lines)) if compressed else block(*lines)
        return headers_of(speaker.newest, made, end=end, pad=pad)

    return idea


def _opening() -> Idea:
    def idea(speaker: Speaker) -> Call:
        speaker.newest += 2
        return Call("open", speaker.newest)

    return idea


def _on_known(make: Callable[[int], Act]) -> st.SearchStrategy[Idea]:
    return PICK.map(lambda pick: lambda speaker: make(speaker.known(pick)))


def _data(payload: bytes, end: bool, pad: int | None, pick: int) -> Idea:
    return lambda speaker: data(speaker.known(pick), payload, end=end, pad=pad)


def _answer(lines: tuple[str, ...], end: bool, pick: int) -> Idea:
    return lambda speaker: headers(speaker.known(pick), *lines, end=end)


def _call(name: str, argument: int, pick: int) -> Idea:
    return lambda speaker: Call(name, speaker.known(pick), argument)


def _rst(code: int, pick: int) -> Idea:
    return lambda speaker: rst(speaker.known(pick), code)


def _window(increment: int, pick: int) -> Idea:
    return lambda speaker: window(speaker.known(pick) if pick else 0, increment)


def _said(frame: Frame) -> Idea:
    return lambda speaker: frame


def _requests(lines: list[tuple[str, ...]]) -> st.SearchStrategy[Idea]:
    pads, steps = st.sampled_from([None, None, 7]), st.sampled_from([2, 2, 2, 4])
    return st.builds(_request, st.sampled_from(lines), SELDOM, SELDOM, pads, steps)


def _answers(lines: list[tuple[str, ...]]) -> st.SearchStrategy[Idea]:
    return st.builds(_answer, st.sampled_from(lines), SELDOM, PICK)


requests, answers = _requests(GOOD_REQUESTS), _answers(GOOD_ANSWERS)
bad_requests, bad_answers = _requests(BAD_REQUESTS), _answers(BAD_ANSWERS)
payloads = st.binary(max_size=20) | st.just(bytes(9000))
data_ = st.builds(_data, payloads, SELDOM, st.sampled_from([None, None, 0, 9]), PICK)
calls = st.builds(
    _call,
    st.sampled_from(["accept", "accept", "accept", "reject", "send", "send", "end", "reset"]),
    st.sampled_from([1, 500, 70_000]),
    PICK,
)
others = st.one_of(
    st.builds(_rst, CODES, PICK),
    st.builds(_window, st.sampled_from([1, 1000, 2**30, 2**31 - 1]), PICK),
    st.builds(settings, st.dictionaries(st.sampled_from([1, 4]), st.sampled_from([0, 100, 65_535, 2**30]))).map(_said),
    st.sampled_from([settings({3: 5}), settings({5: 20_000}), settings({2: 0}), settings({0x99: 1})]).map(_said),
    st.sampled_from([ping(), ping(ack=True)]).map(_said),
    _on_known(priority),
    _on_known(lambda number: headers(number, "x-trailer 1", end=True)),
    _on_known(lambda number: headers(number, "x-trailer 1")),
    _on_known(lambda number: Frame(0x77, 0, number, b"unknown")),
)
wild = st.builds(
    Frame,
    st.integers(0, 11),
    st.sampled_from([0, 1, 4, 5, 8, 9, 0xC, 0x20, 0x24, 0xFF]),
    st.integers(0, 9),
    st.binary(max_size=12),
).map(_said)
goaways = st.builds(goaway, st.sampled_from([0, 1, 3, 7, 2**31 - 1]), CODES).map(_said)


def spelled_out(ideas: list[Idea]) -> list[Act]:
    """The frames and calls of a conversation."""
    speaker = Speaker()
    return [idea(speaker) for idea in ideas]


def _conversation(first: st.SearchStrategy[Idea], *more: st.SearchStrategy[Idea]) -> st.SearchStrategy[list[Act]]:
    return st.builds(lambda head, rest: spelled_out([head, *rest]), first, st.lists(st.one_of(*more), max_size=20))


opening = st.just(_opening())
server_hears = _conversation(requests, requests, requests, data_, data_, calls, others)
"""A client's frames and a server's calls."""
client_hears = _conversation(opening, opening, answers, answers, data_, data_, calls, others)
"""A server's frames and a client's calls."""
_server_hears_anything = _conversation(requests, requests, requests, bad_requests, data_, calls, others, wild)
_client_hears_anything = _conversation(
    opening, opening, opening, answers, answers, answers, bad_answers, data_, calls, others, wild, goaways
)


# Damage ---------------------------------------------------------------------------------------------------------------

Harm = Callable[[Frame], list[Act]]


def _byte(where: int, byte: int) -> Harm:
    def harm(frame: Frame) -> list[Act]:
        payload = bytearray(frame.payload)
        if payload:
            payload[where % len(payload)] = byte
        return [frame._replace(payload=bytes(payload))]

    return harm


def _in_two(where: int) -> Harm:
    """HEADERS goes on in a CONTINUATION; for another kind it makes no sense."""

    def harm(frame: Frame) -> list[Act]:
        first = frame._replace(flags=frame.flags & ~4, payload=frame.payload[:where])
        return [first, continuation(frame.stream_id, frame.payload[where:])]

    return harm


def _cut(where: int) -> Harm:
    return lambda frame: [frame._replace(payload=frame.payload[:where])]


def _stream(number: int) -> Harm:
    return lambda frame: [frame._replace(stream_id=number)]


def _kind(kind: int) -> Harm:
    return lambda frame: [frame._replace(kind=kind)]


def _flag(bit: int) -> Harm:
    return lambda frame: [frame._replace(flags=frame.flags ^ 1 << bit)]


harms: st.SearchStrategy[Harm] = st.one_of(
    st.builds(_byte, st.integers(0, 200), st.integers(0, 255)),
    st.builds(_byte, st.integers(0, 40), st.integers(0, 255)),
    st.integers(0, 60).map(_in_two),
    st.integers(0, 60).map(_cut),
    st.integers(0, 9).map(_stream),
    st.integers(0, 10).map(_kind),
    st.integers(0, 7).map(_flag),
    st.just(lambda frame: []),
    st.just(lambda frame: [frame, frame]),
)


def _harmed(acts: list[Act], damage: list[tuple[int, Harm]]) -> list[Act]:
    for pick, harm in damage:
        places = [index for index, act in enumerate(acts) if isinstance(act, Frame)]
        if places:
            index = places[pick % len(places)]
            victim = acts[index]
            assert isinstance(victim, Frame)
            acts = [*acts[:index], *harm(victim), *acts[index + 1 :]]
    return acts


damage = st.lists(st.tuples(st.integers(0, 25), harms), min_size=1, max_size=2)
server_hears_anything = st.builds(_harmed, _server_hears_anything, damage)
"""The same with senseless frames, and one or two frames damaged, lost, told twice or cut in two."""
client_hears_anything = st.builds(_harmed, _client_hears_anything, damage)
