"""Bytes into frames: the loop every received byte passes through [pure].

Payload of DATA is never collected: what has arrived of it goes on at once as views of the caller's buffer, all
neighbouring frames of one stream together. Every other frame is handed over whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from hbone_py import frames
from hbone_py.errors import ErrorCode, RemoteProtocolError

_unpack = frames.HEADER.unpack_from
_PADDED_END: Final = frames.PADDED | frames.END_STREAM
_HEADER_SIZE: Final = frames.HEADER_SIZE
_OTHERS_COST = 16
"""Frames of plain DATA that take as long as another, or as each further 256 bytes of one: a request, or a PING."""


class DataHandler(Protocol):
    """What the reader tells about DATA: in order, synchronously."""

    def data_started(self, stream_id: int, length: int, padding: int) -> None:
        """A DATA frame begins: `length` counts against the windows, `padding` of it is no payload."""

    def whole(self, stream_id: int, payload: memoryview) -> None:
        """A DATA frame that is all there, without padding, flags or neighbours: begun and over."""

    def payload(self, stream_id: int, pieces: list[memoryview], size: int) -> None:
        """Payload of one stream; the views die when this returns."""

    def data_ended(self, stream_id: int) -> None:
        """A DATA frame with END_STREAM is complete."""

    def empty_end(self, stream_id: int) -> None:
        """A DATA frame with END_STREAM and nothing else: begun and over."""


FrameHandler = Callable[[int, int, int, bytes], None]
"""Takes every other frame, an unknown one too, whole: kind, flags, stream id, payload."""


def _unheard(_kind: int, _flags: int, _stream_id: int, _payload: bytes) -> None:
    """Takes the frames of a reader that was stopped."""


class FrameReader:
    """Splits one direction of a connection into frames.

    `max_frame_size` is the largest payload accepted; a larger one raises RemoteProtocolError(FRAME_SIZE_ERROR). After
    `at_once` frames of plain DATA, or a sixteenth of that of others, a `feed` stops: a flood keeps nobody waiting. A
    large one counts as several: 16 KiB of tiny header fields take 20 ms to read.
    """

    __slots__ = (
        "_at_once",
        "_data",
        "_ends",
        "_frame",
        "_largest",
        "_left",
        "_max",
        "_padding",
        "_partial",
        "_patience",
        "_rest",
        "_stream",
        "_wanted",
    )

    def __init__(self, data: DataHandler, frame: FrameHandler, max_frame_size: int, at_once: int = 2**31 - 1) -> None:
        self._at_once = self._patience = at_once
        self._rest = 0  # bytes of what is being fed that wait for another turn
        self._data = data
        self._frame = frame
        self._max = max_frame_size
        self._largest = max_frame_size << 8  # the same as a header's first word, kind DATA
        self._partial = bytearray()  # the start of a frame that has not come whole
        self._wanted = frames.HEADER_SIZE  # how long `_partial` must grow
        self._stream = 0  # the DATA frame in progress: its stream,
        self._left = 0  # payload still to come,
        self._padding = 0  # padding behind it,
        self._ends = False  # and whether it ends the stream

    @property
    def is_between_frames(self) -> bool:
        """True when the bytes so far end at a frame's end."""
        return not (self._partial or self._left or self._padding)

    def stop(self) -> None:
        """Hear no more frames: the rest of what is being fed is skipped, even if a handler calls this."""
        self._largest = -1
        self._frame = _unheard  # it is whoever feeds us, most likely: nobody shall be kept alive by a ring

    def feed(self, data: memoryview, size: int) -> int:
        """Take the first `size` bytes of `data`, which follow what was fed before.

        Returns how many of them, the last ones, were left: feed them anew when others have had their turn.

        Raises RemoteProtocolError when they cannot be frames; what came before was delivered.
        """
        if size > _HEADER_SIZE and not (self._left or self._partial or self._padding):
            word, flags, stream_id = _unpack(data, 0)
            # A small message, mostly: one frame of plain payload that ends nothing.
            if word == (size - _HEADER_SIZE) << 8 and not flags & _PADDED_END and word <= self._largest:
                self._data.whole(stream_id & frames.MAX_STREAM_ID, data[_HEADER_SIZE:size])
                return 0
        return self._walk(data[:size])

    def _walk(self, data: memoryview) -> int:
        """Frame by frame."""
        self._patience = self._at_once
        position, end = 0, len(data)
        if self._partial:
            position = self._finish_partial(data)
        alone: memoryview | None = None  # payload of a whole frame of `self._stream` that is not begun yet,
        run: list[memoryview] = []  # or payload of it, maybe of several frames, all begun
        size = 0
        try:
            while position < end:
                left = self._left
                if not left:
                    if self._padding:
                        position += self._skip_padding(end - position)
                        continue
                    if end - position < _HEADER_SIZE:
                        self._partial += data[position:]
                        break
                    word, flags, stream_id = _unpack(data, position)
                    stream_id &= frames.MAX_STREAM_ID
                    is_plain = not (word & 0xFF or flags & _PADDED_END)  # DATA that ends nothing
                    if stream_id != self._stream or not is_plain:
                        if alone is not None:
                            payload, alone = alone, None
                            self._data.whole(self._stream, payload)
                        elif run:
                            pieces, run = run, []
                            self._data.payload(self._stream, pieces, size)
                            size = 0
                    if not is_plain or word > self._largest:
                        position = self._start(data, position, word, flags, stream_id)
                        continue
                    self._patience -= 1
                    if self._patience < 0:
                        self._rest = end - position
                        break
                    left = word >> 8
                    position += _HEADER_SIZE
                    if alone is not None:
                        self._data.data_started(stream_id, len(alone), 0)
                        run, size, alone = [alone], len(alone), None
                    elif not run and 0 < left <= end - position:
                        # The common frame, without another call: plain payload that ends nothing, all there.
                        self._stream = stream_id
                        alone = data[position : position + left]
                        position += left
                        continue
                    self._data.data_started(stream_id, left, 0)
                    self._stream = stream_id
                    if not left:
                        continue
                count = end - position
                if count > left:
                    count = left
                run.append(data[position : position + count])
                size += count
                position += count
                self._left = left - count
                if (self._ends or self._padding) and count == left:
                    pieces, run = run, []
                    self._data.payload(self._stream, pieces, size)
                    size = 0
                    position += self._skip_padding(end - position)
        finally:
            if alone is not None:
                self._data.whole(self._stream, alone)
            elif run:
                self._data.payload(self._stream, run, size)
        rest, self._rest = self._rest, 0
        return rest

    def _start(self, data: memoryview, position: int, word: int, flags: int, stream_id: int) -> int:
        """Begin any frame at `position`; returns where to go on."""
        if self._largest < 0:
            return len(data)
        if self._patience < _OTHERS_COST:
            self._rest = len(data) - position
            return len(data)
        if not word and flags == frames.END_STREAM:  # as nearly every tunnel ends
            self._patience -= _OTHERS_COST
            self._stream = stream_id
            self._data.empty_end(stream_id)
            return position + _HEADER_SIZE
        length, kind = word >> 8, word & 0xFF
        if length > self._max:
            raise RemoteProtocolError(f"a frame of {length} bytes", ErrorCode.FRAME_SIZE_ERROR)
        self._patience -= _OTHERS_COST if kind == frames.DATA else _OTHERS_COST * (1 + (length >> 8))
        whole = position + frames.HEADER_SIZE + length
        if kind == frames.DATA:  # its payload is not waited for, only the length of its padding
            whole = position + frames.HEADER_SIZE + bool(length and flags & frames.PADDED)
        if whole > len(data):
            self._partial += data[position:]
            self._wanted = whole - position
            return len(data)
        payload = bytes(data[position + frames.HEADER_SIZE : whole])
        if kind == frames.DATA:
            self._start_data(flags, stream_id, length, payload)
        else:
            self._frame(kind, flags, stream_id, payload)
        return whole

    def _start_data(self, flags: int, stream_id: int, length: int, padding_length: bytes) -> None:
        """Begin a DATA frame that is padded or ends a stream."""
        padding = padding_length[0] if padding_length else 0
        if flags & frames.PADDED and not length:
            raise RemoteProtocolError("DATA without the length of its padding", ErrorCode.FRAME_SIZE_ERROR)
        if padding_length and padding >= length:
            raise RemoteProtocolError("DATA with more padding than payload")
        self._data.data_started(stream_id, length, padding + len(padding_length))
        self._stream, self._padding = stream_id, padding
        self._left = length - padding - len(padding_length)
        ends = bool(flags & frames.END_STREAM)
        if self._left or padding:
            self._ends = ends
        elif ends:
            self._data.data_ended(stream_id)

    def _skip_padding(self, available: int) -> int:
        """Drop padding that is there; once none is left the frame is over."""
        count = min(self._padding, available)
        self._padding -= count
        if not self._padding and self._ends:
            self._ends = False
            self._data.data_ended(self._stream)
        return count

    def _finish_partial(self, data: memoryview) -> int:
        """Complete a frame whose start came earlier; returns how many bytes of `data` that took."""
        partial = self._partial
        taken = 0
        while True:
            count = min(self._wanted - len(partial), len(data) - taken)
            partial += data[taken : taken + count]
            taken += count
            if len(partial) < self._wanted:
                return taken
            word, flags, stream_id = _unpack(partial)
            whole = self._whole(word, flags)
            if len(partial) == whole:
                break
            self._wanted = whole
        payload = bytes(partial[frames.HEADER_SIZE :])
        partial.clear()
        self._wanted = frames.HEADER_SIZE
        if word & 0xFF == frames.DATA:
            self._start_data(flags, stream_id & frames.MAX_STREAM_ID, word >> 8, payload)
        else:
            self._frame(word & 0xFF, flags, stream_id & frames.MAX_STREAM_ID, payload)
        return taken

    def _whole(self, word: int, flags: int) -> int:
        """How many bytes of a frame are collected before it is handled."""
        if word >> 8 > self._max:
            raise RemoteProtocolError(f"a frame of {word >> 8} bytes", ErrorCode.FRAME_SIZE_ERROR)
        if word & 0xFF == frames.DATA:
            return frames.HEADER_SIZE + bool(word >> 8 and flags & frames.PADDED)
        return frames.HEADER_SIZE + (word >> 8)
