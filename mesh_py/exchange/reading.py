"""A connection read by callbacks: what is there goes to the codec, as long as somebody wants more, turn by turn."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from hbone_py.errors import HboneError

if TYPE_CHECKING:
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import Codec

HELD = 128 * 1024
"""Bytes of one HTTP/1 body that wait for their reader before the connection is read no further."""
_READS = 16
"""Pieces that one turn of a connection takes: then others have theirs."""
_LONGEST = 0.01
"""Seconds after which a turn takes no further piece. Some are dear: heads, and what policies and routes ask of them."""
_now = time.monotonic


class Reader(Protocol):
    """Who has the events of the codec."""

    def has_enough(self) -> bool:
        """Whether to read no further; whoever has less later says so by `Reading.resume`."""

    def came(self) -> None:
        """The codec has got a piece, or been told of the end: see what it reports."""

    def broke(self, error: HboneError) -> None:
        """Nothing more can be read."""

    def turned(self) -> None:
        """That was all for now."""


class Reading:
    """The incoming side of one connection, beside its `Wire`."""

    def __init__(self, stream: WireStream, codec: Codec, reader: Reader) -> None:
        self._stream, self._codec, self._reader = stream, codec, reader
        self.is_over = False
        """There is nothing more to read: the peer has ended, the stream broke, or nobody wants it."""
        self.is_paused = False
        """The reader has enough."""
        self._is_reading = False

    def begin(self) -> None:
        """Take what is there, and from now on what comes."""
        self._stream.on_data = self.read
        self.read()

    def end(self) -> None:
        """Take nothing more, not even by a turn that was put off."""
        self.is_over = True
        self._stream.on_data = None

    def read(self) -> None:
        """Take what is there; the stream calls again when there is more."""
        if self._is_reading or self.is_paused or self.is_over:
            return
        self._is_reading = True
        try:
            self._read_pieces()
        except HboneError as error:
            self.is_over = True
            self._reader.broke(error)
        finally:
            self._is_reading = False
        self._reader.turned()

    def _read_pieces(self) -> None:
        stream, codec, reader = self._stream, self._codec, self._reader
        end = 0.0
        for _ in range(_READS):
            if codec.is_closing:
                return
            if codec.has_rest:
                codec.go_on()
            else:
                data = stream.receive_now()
                if data is None:
                    return
                if data:
                    codec.receive_data(data)
                else:
                    codec.receive_eof()
                    self.is_over = True
            reader.came()
            if self.is_over:
                return
            if reader.has_enough():
                self.is_paused = True
                return
            if codec.has_rest:
                break
            now = _now()
            if not end:
                end = now + _LONGEST
            elif now > end:
                break
        self._read_later()

    def _read_later(self) -> None:
        asyncio.get_running_loop().call_soon(self.read)

    def resume(self) -> None:
        """The reader has less than it had."""
        if self.is_paused and not self._reader.has_enough():
            self.is_paused = False
            self._read_later()
