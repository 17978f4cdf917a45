"""What a connection announces, allows and waits for [pure].

Defaults are ztunnel's (hbone-dataplane 1.2, 1.3, 1.7, 5), but for the windows: Envoy's server drops what still
waits for window when the application behind it ends first, so we announce 16 MiB a stream and 64 MiB a connection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

KIB = 1024
MIB = 1024 * 1024

WINDOW_RATIO = 4
"""A connection window must hold this many stream windows, or one unread stream can stop its neighbours."""

PING_PAYLOAD = bytes.fromhex("3b7cdb7a0b8716b4")
"""What ztunnel's PINGs carry (hbone-dataplane 1.7)."""


@dataclass(frozen=True, slots=True)
class Http2Config:
    """Settings and limits of one side of an HBONE connection.

    Raises ValueError for a number RFC 9113 does not allow, and when one unread stream could stop its neighbours.
    """

    stream_window: int = 16 * MIB
    """Bytes a peer may send on one stream before it is read (SETTINGS_INITIAL_WINDOW_SIZE)."""
    connection_window: int = 64 * MIB
    """Bytes a peer may send on all streams together before they are read."""
    max_frame_size: int = MIB
    """Largest frame payload we accept (SETTINGS_MAX_FRAME_SIZE), bytes."""
    max_concurrent_streams: int = 200
    """Tunnels one peer may have open on one connection to us (a server's SETTINGS_MAX_CONCURRENT_STREAMS)."""
    max_header_list_server: int = 64 * KIB
    """Largest header list a server accepts, bytes; above it the answer is 431."""
    max_header_list_client: int = 16 * KIB
    """Largest header list a client accepts, bytes."""
    assumed_peer_streams: int = 100
    """Tunnels a client opens before it has read the peer's own limit."""
    max_protocol_resets: int = 1024
    """Streams we reset for the peer's faults before the whole connection is ended with ENHANCE_YOUR_CALM."""
    max_early_resets: int = 20
    """Streams a peer may cancel before our answer (in excess of half of all it opened) before we end it likewise."""
    max_queued_control: int = MIB
    """Bytes of answers (SETTINGS and PING acknowledgements, resets) that may wait for a peer that does not read."""

    def __post_init__(self) -> None:
        if self.stream_window < 1:
            raise ValueError(f"the stream window must be at least 1 byte, not {self.stream_window}")
        if self.connection_window < WINDOW_RATIO * self.stream_window:
            raise ValueError(
                f"a connection window of {self.connection_window} bytes is less than {WINDOW_RATIO} stream windows "
                f"of {self.stream_window}: one unread stream could stop its neighbours"
            )
        if not 65_535 <= self.connection_window <= 2**31 - 1:
            raise ValueError(f"the connection window must be 65535 to {2**31 - 1} bytes, not {self.connection_window}")
        if not 16_384 <= self.max_frame_size <= 2**24 - 1:
            raise ValueError(f"the frame size must be 16384 to {2**24 - 1} bytes, not {self.max_frame_size}")

    def cramped(self) -> Http2Config:
        """The same with small windows, for connections accepted while memory is short."""
        return replace(
            self,
            stream_window=min(self.stream_window, 256 * KIB),
            connection_window=min(self.connection_window, MIB),
        )


@dataclass(frozen=True, slots=True)
class Keepalive:
    """PING timing (hbone-dataplane 1.7), seconds."""

    interval: float = 10.0
    """From the connection being up, or the last answer, to the next PING."""
    timeout: float = 20.0
    """From a PING to giving the connection up."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each step of opening a tunnel may take, seconds. ztunnel bounds only the first (1.1, 1.5, 5)."""

    connect: float = 10.0
    """TCP, to a peer or to an application."""
    tls: float = 10.0
    """The TLS handshake, either side."""
    settings: float = 10.0
    """The peer's first SETTINGS, after TLS."""
    reply: float = 30.0
    """The answer to a CONNECT: the peer may itself take `connect` to reach the application."""
