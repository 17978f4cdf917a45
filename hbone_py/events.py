"""What the engine reports, in order: facts in the past tense [pure].

Payload is no event: it goes straight to the stream's sink (see `streams.Stream.sink`), because one object per frame
is what a fast data path cannot afford.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hbone_py.errors import ConnectionLost, ErrorCode, HboneError, RemoteProtocolError, code_name

if TYPE_CHECKING:
    from hbone_py.connect import ConnectRequest
    from hbone_py.header_blocks import HeaderList
    from hbone_py.streams import Stream


@dataclass(slots=True)
class SettingsReceived:
    """The peer's SETTINGS arrived (each time)."""


@dataclass(slots=True)
class TunnelRequested:
    """Server: a peer asks for a tunnel. Answer with `accept_tunnel`, `reject_tunnel` or `reset`."""

    stream_id: int
    request: ConnectRequest
    stream: Stream = field(compare=False, repr=False)


@dataclass(slots=True)
class TunnelAccepted:
    """Client: the peer answered 200."""

    stream_id: int
    headers: HeaderList
    stream: Stream = field(compare=False, repr=False)


@dataclass(slots=True)
class TunnelRefused:
    """Client: the peer answered something else; the stream is gone."""

    stream_id: int
    status: int
    stream: Stream = field(compare=False, repr=False)


@dataclass(slots=True)
class TunnelEnded:
    """The peer ended its direction; ours may go on."""

    stream_id: int
    stream: Stream = field(compare=False, repr=False)


@dataclass(slots=True)
class TunnelReset:
    """The stream is gone before its time: RST_STREAM with `code`, by the peer or for its fault (`by_peer` false)."""

    stream_id: int
    code: int
    by_peer: bool
    stream: Stream = field(compare=False, repr=False)
    after_end: bool = False
    """The peer had already ended its direction: with NO_ERROR this is a normal end (Envoy's), nothing is lost."""


@dataclass(slots=True)
class RequestRefused:
    """Server: a request was answered by the engine itself (400, 431) or reset; for the log."""

    stream_id: int
    reason: str
    status: int | None = None


@dataclass(slots=True)
class PingAcknowledged:
    """A PING of ours came back."""

    payload: bytes


@dataclass(slots=True)
class GoAwayReceived:
    """The peer takes no new streams above `last_stream_id`; those at or below it go on."""

    last_stream_id: int
    code: int
    debug: bytes


@dataclass(slots=True)
class ConnectionEnded:
    """Nothing more comes or goes: a protocol error (by whom is in `by_peer`), or end of file."""

    code: int
    reason: str
    by_peer: bool

    def as_error(self) -> HboneError:
        """The same for whoever has a tunnel there."""
        if self.code == ErrorCode.NO_ERROR:
            return ConnectionLost(self.reason)
        return RemoteProtocolError(f"{self.reason} ({code_name(self.code)})", ErrorCode(self.code))


Event = (
    SettingsReceived
    | TunnelRequested
    | TunnelAccepted
    | TunnelRefused
    | TunnelEnded
    | TunnelReset
    | RequestRefused
    | PingAcknowledged
    | GoAwayReceived
    | ConnectionEnded
)
