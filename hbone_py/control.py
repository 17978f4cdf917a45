"""The control lane: what h2 parses and builds for us [pure].

h2 sees every frame that belongs to the connection and to no tunnel: SETTINGS, PING, PRIORITY, PUSH_PROMISE. Its
verdict on them stands. It never hears of our streams, whose table is `connection.HboneConnection`'s, nor of GOAWAY:
to h2 either one's GOAWAY is the end of everything, to us it begins a drain (RFC 9113 section 6.8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import PingAckReceived, RemoteSettingsChanged
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from hbone_py import frames
from hbone_py.errors import ErrorCode, RemoteProtocolError

if TYPE_CHECKING:
    from hbone_py.config import Http2Config


class ControlLane:
    """One h2 connection that holds no streams.

    `settings` is the peer's current value of each setting it has sent.
    """

    def __init__(self, *, client: bool, config: Http2Config) -> None:
        self.opening = opening_bytes(client=client, config=config)
        """What our side sends first: preface (client), SETTINGS, and the raised connection window."""
        self.settings: dict[int, int] = {}
        self._h2 = H2Connection(H2Configuration(client_side=client, header_encoding=None))
        self._h2.local_settings = Settings(
            client=client,
            initial_values={SettingCodes(key): value for key, value in _announced(client, config).items()},
        )
        self._h2.initiate_connection()
        self._h2.clear_outbound_data_buffer()  # h2 would announce its own defaults too; `opening` says what we mean
        if not client:
            self._h2.receive_data(frames.PREFACE)

    def receive(self, kind: int, flags: int, stream_id: int, payload: bytes) -> tuple[bytes, dict[int, int], bytes]:
        """Hand h2 one frame; returns its answer, the settings that changed, and the payload of a PING's answer.

        Raises RemoteProtocolError with h2's own error code when h2 would end the connection.
        """
        changed: dict[int, int] = {}
        acknowledged = b""
        try:
            events = self._h2.receive_data(frames.frame(kind, flags, stream_id, payload))
        except ProtocolError as error:
            raise RemoteProtocolError(str(error) or type(error).__name__, ErrorCode(int(error.error_code))) from error
        for event in events:
            if isinstance(event, RemoteSettingsChanged):
                changed = {int(code): change.new_value for code, change in event.changed_settings.items()}
            elif isinstance(event, PingAckReceived):
                acknowledged = event.ping_data or b""
        self.settings.update(changed)
        return self._h2.data_to_send(), changed, acknowledged


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
