"""The control lane: what h2 parses and builds for us [pure].

h2 sees every frame that belongs to the connection and to no tunnel: SETTINGS, PING. Its verdict on them stands. It
never hears of our streams, whose table is `connection.HboneConnection`'s, nor of GOAWAY: to h2 either one's GOAWAY is
the end of everything, to us it begins a drain (RFC 9113 section 6.8).

Without streams such a verdict depends on the frame alone. So one h2 connection for each side judges for all of ours,
and what it has said of a short frame is remembered: peers repeat each other's SETTINGS to the byte.
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import PingAckReceived, RemoteSettingsChanged
from h2.exceptions import ProtocolError

from hbone_py import frames
from hbone_py.errors import ErrorCode, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hbone_py.config import Http2Config

_REMEMBERED = 256
_LONGEST_REMEMBERED = 256
"""Bytes of payload: peers must not choose how much memory their frames take."""

_idle: Final[dict[bool, list[H2Connection]]] = {True: [], False: []}
"""Judges that nobody asks at the moment, by `client`: one of each, or more where threads ask at once."""


class Verdict(NamedTuple):
    """What a control frame means."""

    answer: bytes
    """What to send back; empty for nothing."""
    changed: Mapping[int, int]
    """The settings it names, and their new values."""
    acknowledged: bytes
    """The payload of the PING it answers; empty if it answers none."""


def judge(client: bool, kind: int, flags: int, stream_id: int, payload: bytes) -> Verdict:
    """h2's verdict on one whole SETTINGS or PING frame that our side, a client or a server, has received.

    Raises RemoteProtocolError with h2's own error code when h2 would end the connection.
    """
    frames.check_acknowledgement(kind, flags, payload)
    if len(payload) > _LONGEST_REMEMBERED:
        return _ask_h2(client, kind, flags, stream_id, payload)
    return _remembered(client, kind, flags, stream_id, payload)


def _ask_h2(client: bool, kind: int, flags: int, stream_id: int, payload: bytes) -> Verdict:
    try:
        h2 = _idle[client].pop()
    except IndexError:
        h2 = _new_h2(client)
    changed: dict[int, int] = {}
    acknowledged = b""
    try:
        events = h2.receive_data(frames.frame(kind, flags, stream_id, payload))
    except ProtocolError as error:  # that one hears nothing more
        raise RemoteProtocolError(str(error) or type(error).__name__, ErrorCode(int(error.error_code))) from error
    for event in events:
        if isinstance(event, RemoteSettingsChanged):
            changed = {int(code): change.new_value for code, change in event.changed_settings.items()}
        elif isinstance(event, PingAckReceived):
            acknowledged = event.ping_data or b""
    verdict = Verdict(h2.data_to_send(), MappingProxyType(changed), acknowledged)
    _idle[client].append(h2)
    return verdict


_remembered = lru_cache(maxsize=_REMEMBERED)(_ask_h2)


def _new_h2(client: bool) -> H2Connection:
    """An h2 connection that holds no streams, at the point where any control frame may come."""
    h2 = H2Connection(H2Configuration(client_side=client, header_encoding=None))
    h2.initiate_connection()
    if not client:
        h2.receive_data(frames.PREFACE)
    h2.clear_outbound_data_buffer()  # what our side opens with is `opening_bytes`, not h2's own defaults
    return h2


@lru_cache(maxsize=16)
def opening_bytes(*, client: bool, config: Http2Config) -> bytes:
    """The first bytes of a side, exactly hbone-dataplane 1.2: only the settings that differ from RFC 9113's."""
    return (
        (frames.PREFACE if client else b"")
        + frames.settings(_announced(client, config))
        + frames.window_update(0, max(config.connection_window - 65_535, 1))
    )


def _announced(client: bool, config: Http2Config) -> dict[int, int]:
    mine = {frames.ENABLE_PUSH: 0} if client else {frames.MAX_CONCURRENT_STREAMS: config.max_concurrent_streams}
    return {
        **mine,
        frames.INITIAL_WINDOW_SIZE: config.stream_window,
        frames.MAX_FRAME_SIZE: config.max_frame_size,
        frames.MAX_HEADER_LIST_SIZE: config.max_header_list_client if client else config.max_header_list_server,
    }
