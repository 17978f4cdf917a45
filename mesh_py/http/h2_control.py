"""The frames that belong to an HTTP/2 connection and to no stream: SETTINGS, PING, PUSH_PROMISE [pure].

h2 parses and answers them; its verdict stands. It never hears of our streams, nor of GOAWAY, which to h2 is the end of
everything and to a proxy begins a drain (RFC 9113 6.8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection as Engine
from h2.events import RemoteSettingsChanged
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from hbone_py import frames
from hbone_py.errors import ErrorCode, RemoteProtocolError
from hbone_py.flow import DEFAULT_WINDOW

if TYPE_CHECKING:
    from mesh_py.http.limits import Limits

ENABLE_CONNECT_PROTOCOL = 0x8
"""RFC 8441 3."""


class Control:
    """One h2 connection that holds no streams. `opening` is what our side sends first."""

    def __init__(self, limits: Limits, *, client: bool) -> None:
        announced = _announced(limits, client=client)
        self.opening = (
            (frames.PREFACE if client else b"")
            + frames.settings(announced)
            + frames.window_update(0, max(limits.connection_window - DEFAULT_WINDOW, 1))
        )
        self._h2 = Engine(H2Configuration(client_side=client, header_encoding=None))
        values = {SettingCodes(key): value for key, value in announced.items()}
        self._h2.local_settings = Settings(client=client, initial_values=values)
        self._h2.initiate_connection()
        self._h2.clear_outbound_data_buffer()  # h2 would announce its own numbers
        if not client:
            self._h2.receive_data(frames.PREFACE)

    def receive(self, kind: int, flags: int, stream: int, payload: bytes) -> tuple[bytes, dict[int, int]]:
        """Hand h2 one frame: its answer, and the settings of the peer that changed.

        Raises:
            RemoteProtocolError: h2 would end the connection.
        """
        frames.check_acknowledgement(kind, flags, payload)
        try:
            events = self._h2.receive_data(frames.frame(kind, flags, stream, payload))
        except ProtocolError as error:
            raise RemoteProtocolError(str(error) or type(error).__name__, ErrorCode(int(error.error_code))) from error
        changed: dict[int, int] = {}
        for event in events:
            if isinstance(event, RemoteSettingsChanged):
                changed |= {int(code): change.new_value for code, change in event.changed_settings.items()}
        return self._h2.data_to_send(), changed


def _announced(limits: Limits, *, client: bool) -> dict[int, int]:
    mine = {frames.ENABLE_PUSH: 0} if client else {frames.MAX_CONCURRENT_STREAMS: limits.streams}
    return {
        **mine,
        frames.INITIAL_WINDOW_SIZE: limits.stream_window,
        frames.MAX_FRAME_SIZE: limits.frame_size,
        frames.MAX_HEADER_LIST_SIZE: limits.head_bytes,
        **({} if client else {ENABLE_CONNECT_PROTOCOL: 1}),
    }
