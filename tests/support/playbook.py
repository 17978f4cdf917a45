"""Conversations with an engine, step by step: what it hears, what it says, what it reports.

    play(
        server(),
        hears(connect(1)),
        reports(requested(1)),
        does("accept_tunnel", 1),
        says(ok(1)),
    )

Anything an engine says, reports or holds that no step asks for fails the play, at the step that follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hpack import Decoder

from hbone_py import events as ev
from hbone_py.connection import HboneConnection
from tests.support import frames
from tests.support.frames import Frame, connect, decoded, ok, pairs, settings, split, wire

if TYPE_CHECKING:
    from hbone_py.config import Http2Config
    from hbone_py.errors import HboneError
    from hbone_py.flow import UnreadLedger
    from hbone_py.streams import Stream

Told = tuple[Any, ...]
"""An event as a plain value: its name, then what matters of it."""
Step = Callable[["Player"], None]
"""One step of a conversation."""


class Player:
    """An engine and what was not yet asked for of its words."""

    def __init__(self, engine: HboneConnection) -> None:
        self.engine = engine
        self.streams: dict[int, Stream] = dict(engine.streams)
        self.held: dict[int, bytes] = {}
        self._said: list[Frame] = []
        self._reported: list[Told] = []
        self._decoder = Decoder()

    def collect(self) -> None:
        """Take what the engine says and reports into the lists that steps ask."""
        out = b"".join(self.engine.data_to_send()).removeprefix(frames.PREFACE)
        self._said += split(out)
        for event in self.engine.events():
            if stream := getattr(event, "stream", None):
                self.streams[stream.stream_id] = stream
            self._reported.append(tell(event))

    def next_said(self) -> Frame | None:
        """The next frame the engine sent."""
        self.collect()
        return self._said.pop(0) if self._said else None

    def next_reported(self) -> Told | None:
        """The next event."""
        self.collect()
        return self._reported.pop(0) if self._reported else None

    def check_silence(self) -> None:
        """Nothing is left that no step asked for."""
        self.collect()
        assert not self._said, f"it also said {self._said}"
        assert not self._reported, f"it also reported {self._reported}"
        held = {number: held_bytes(stream) for number, stream in self.streams.items() if stream.unread}
        assert held == self.held, "it holds other bytes than asked for"

    def same(self, said: Frame, expected: Frame) -> bool:
        """Equal frames; header blocks are equal when their headers are."""
        if said.kind != frames.HEADERS or not said.flags & frames.END_HEADERS or expected.kind != said.kind:
            return said == expected
        heard = decoded(said.payload, self._decoder)
        return said[1:3] == expected[1:3] and heard == decoded(expected.payload)


def play(*steps: Step | HboneConnection) -> Player:
    """Run a conversation. The first step is the engine."""
    engine, *rest = steps
    assert isinstance(engine, HboneConnection)
    player = Player(engine)
    for step in rest:
        assert not isinstance(step, HboneConnection)
        step(player)
    player.check_silence()
    return player


def held_bytes(stream: Stream) -> bytes:
    """What a stream holds, unread."""
    return b"".join(map(bytes, stream.held))


def end_code(engine: HboneConnection) -> int | None:
    """The code the connection ended with; None while it lives."""
    return engine.ended.code if engine.ended else None


# Who plays ----------------------------------------------------------------------------------------------------------


def server(
    config: Http2Config | None = None, *, heard: dict[int, int] | None = None, ledger: UnreadLedger | None = None
) -> HboneConnection:
    """A server that has exchanged SETTINGS (the client's are `heard`)."""
    engine = HboneConnection(client=False, config=config, ledger=ledger)
    engine.receive_data(wire(frames.PREFACE, settings(heard)))
    return _quiet(engine)


def client(
    config: Http2Config | None = None, *, heard: dict[int, int] | None = None, ledger: UnreadLedger | None = None
) -> HboneConnection:
    """A client that has exchanged SETTINGS (the server's are `heard`)."""
    engine = HboneConnection(client=True, config=config, ledger=ledger)
    engine.receive_data(wire(settings(heard)))
    return _quiet(engine)


def _quiet(engine: HboneConnection) -> HboneConnection:
    assert engine.ended is None
    engine.data_to_send()
    engine.events()
    return engine


# Steps --------------------------------------------------------------------------------------------------------------


def hears(*heard: Frame | bytes) -> Step:
    """Bytes from the peer. All that was said before must have been asked for."""

    def step(player: Player) -> None:
        player.check_silence()
        player.engine.receive_data(wire(*heard))

    return step


def hears_eof() -> Step:
    """The end of the peer's bytes."""
    return lambda player: player.engine.receive_eof()


def says(*expected: Frame) -> Step:
    """The engine sends exactly these frames next."""

    def step(player: Player) -> None:
        for frame in expected:
            said = player.next_said()
            assert said is not None, f"it said nothing, not {frame}"
            assert player.same(said, frame), f"it said {said}, not {frame}"

    return step


def reports(*expected: Told) -> Step:
    """The engine reports exactly these events next."""

    def step(player: Player) -> None:
        for told in expected:
            assert player.next_reported() == told

    return step


def does(name: str, *arguments: Any, gives: Any = None) -> Step:
    """Our side calls a method; a stream's number stands for the stream. `gives` is the result, where it has one."""

    def step(player: Player) -> None:
        result = _call(player, name, arguments)
        if name == "open_tunnel":
            player.streams[result.stream_id] = result
        else:
            assert result == gives

    return step


def fails(error: type[HboneError], name: str, *arguments: Any) -> Step:
    """Our side calls a method, which raises this very error."""

    def step(player: Player) -> None:
        with pytest.raises(error) as caught:
            _call(player, name, arguments)
        assert type(caught.value) is error

    return step


def _call(player: Player, name: str, arguments: tuple[Any, ...]) -> Any:
    player.collect()
    if name in _OF_A_STREAM:
        arguments = (player.streams[arguments[0]], *arguments[1:])
    return getattr(player.engine, name)(*arguments)


_OF_A_STREAM = frozenset(("accept_tunnel", "reject_tunnel", "sendable", "send", "end", "reset", "consumed"))


def opens(*lines: str) -> Step:
    """Client: open a tunnel."""
    return does("open_tunnel", connect(0, "10.1.0.2:8080", *lines).payload)


def holds(stream_id: int, expected: bytes) -> Step:
    """The stream holds these unread bytes, from now on."""

    def step(player: Player) -> None:
        player.collect()
        assert held_bytes(player.streams[stream_id]) == expected
        player.held.pop(stream_id, None)
        if expected:
            player.held[stream_id] = expected

    return step


def reads(stream_id: int, expected: bytes) -> Step:
    """A reader takes the first bytes the stream holds."""

    def step(player: Player) -> None:
        player.collect()
        stream = player.streams[stream_id]
        held = held_bytes(stream)
        assert held[: len(expected)] == expected
        player.engine.consumed(stream, len(expected))
        player.held.pop(stream_id, None)
        if rest := held[len(expected) :]:
            player.held[stream_id] = rest

    return step


def then(check: Callable[[HboneConnection], bool], meaning: str) -> Step:
    """Something about the engine is true now."""

    def step(player: Player) -> None:
        assert check(player.engine), meaning

    return step


# What is reported, as plain values ------------------------------------------------------------------------------------


def requested(stream_id: int, authority: str = "10.1.0.2:8080", *lines: str) -> Told:
    """TunnelRequested."""
    return "requested", stream_id, authority, pairs(*lines)


def accepted(stream_id: int, *lines: str) -> Told:
    """TunnelAccepted."""
    return "accepted", stream_id, pairs(*lines)


def refused(stream_id: int, status: int) -> Told:
    """TunnelRefused."""
    return "refused", stream_id, status


def ended(stream_id: int) -> Told:
    """TunnelEnded."""
    return "ended", stream_id


def was_reset(stream_id: int, code: int, *, by_peer: bool = True, after_end: bool = False) -> Told:
    """TunnelReset."""
    return "reset", stream_id, code, "by the peer" if by_peer else "by us", after_end


def request_refused(stream_id: int, status: int | None = None) -> Told:
    """RequestRefused."""
    return "request refused", stream_id, status


def pinged(payload: bytes) -> Told:
    """PingAcknowledged."""
    return "ping acknowledged", payload


def going_away(last: int, code: int = 0, debug: bytes = b"") -> Told:
    """GoAwayReceived."""
    return "goaway", last, code, debug


def over(code: int, *, by_peer: bool = True) -> Told:
    """ConnectionEnded."""
    return "over", code, "by the peer" if by_peer else "by us"


SETTINGS_CAME: Told = ("settings",)


def tell(event: ev.Event) -> Told:
    """An event as a value."""
    match event:
        case ev.SettingsReceived():
            return SETTINGS_CAME
        case ev.TunnelRequested():
            return "requested", event.stream_id, event.request.authority, event.request.headers
        case ev.TunnelAccepted():
            return "accepted", event.stream_id, event.headers
        case ev.TunnelRefused():
            return refused(event.stream_id, event.status)
        case ev.TunnelEnded():
            return ended(event.stream_id)
        case ev.TunnelReset():
            return was_reset(event.stream_id, event.code, by_peer=event.by_peer, after_end=event.after_end)
        case ev.RequestRefused():
            return request_refused(event.stream_id, event.status)
        case ev.PingAcknowledged():
            return pinged(event.payload)
        case ev.GoAwayReceived():
            return going_away(event.last_stream_id, event.code, event.debug)
        case ev.ConnectionEnded():
            return over(event.code, by_peer=event.by_peer)


def tunnel(role: str) -> HboneConnection:
    """An engine with tunnel 1 open."""
    if role == "client":
        return play(client(), opens(), says(connect(1)), hears(ok(1)), reports(accepted(1))).engine
    opened = play(server(), hears(connect(1)), reports(requested(1)), does("accept_tunnel", 1), says(ok(1)))
    return opened.engine
