"""How much a peer may make us hold or do, per connection: Envoy's defaults where it has some [pure]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what the other side may send. What is over them is answered with 431, 414 or a reset."""

    head_bytes: int = 60 * 1024
    """Of one head or one trailer section, all lines together (Envoy: 60 KiB)."""
    head_fields: int = 100
    """Fields of one head (Envoy: 100)."""
    line_bytes: int = 16 * 1024
    """Of the request line or status line of HTTP/1."""
    held_bytes: int = 64 * 1024
    """Pipelined requests kept while an answer is under way; beyond it the codec wants no more data."""
    streams: int = 1024
    """Requests at once on one HTTP/2 connection (Envoy: 1024). Calls that stream for long all count at once."""
    stream_window: int = 256 * 1024
    """Unread bytes of one HTTP/2 stream."""
    connection_window: int = 1024 * 1024
    """Unread bytes of one HTTP/2 connection."""
    interims: int = 32
    """1xx responses before one response."""
    resets: int = 200
    """Requests that an HTTP/2 client may take back in one period before they are answered (rapid reset)."""
    control_frames: int = 1000
    """PING, SETTINGS, PRIORITY, WINDOW_UPDATE and empty DATA frames in one period with no request or data between."""
    frame_size: int = 16 * 1024
    """Largest HTTP/2 frame we take (RFC 9113 allows no less)."""
