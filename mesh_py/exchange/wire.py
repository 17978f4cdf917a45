"""A stream and a codec joined: bytes become events, and what the codec says goes out in its order.

Nobody waits in order to write. What the kernel does not take at once is kept, and sent when there is room; who has
more to say looks at `has_room` first. So a task that is cancelled never leaves half a frame behind.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.stream import RECEIVE_SIZE
from hbone_py.errors import HboneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.tcp import SocketAddress
    from mesh_py.http.codec import Codec

BACKLOG = 256 * 1024
"""Bytes that may wait for the peer before bodies stop."""
MOST_BACKLOG = 4 * 1024 * 1024
"""With this much waiting the peer asks and never reads: the connection ends."""


class WireStream(Protocol):
    """What HTTP runs over: TCP, TLS or a tunnel."""

    on_room: Callable[[], None] | None
    """Called when there is room again after `send_now` took less than it was given."""

    on_data: Callable[[], None] | None
    """Called when `receive_now` may have something."""

    @property
    def local_address(self) -> SocketAddress:
        """Our end of the TCP connection below. Raises OSError once that is closed."""

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """See `ByteStream`."""

    def receive_now(self, max_bytes: int = RECEIVE_SIZE) -> bytes | None:
        """Some bytes, b"" at the end, None if nothing is there yet. Raises as `receive`."""

    def send_now(self, data: bytes | memoryview) -> int:
        """How much of it found room at once. Raises HboneError when nothing ever will."""

    async def aclose(self) -> None:
        """See `ByteStream`."""

    def abort(self) -> None:
        """See `ByteStream`."""


class Wire:
    """One connection's bytes. `codec` is driven by whoever has the events; then `touch`."""

    def __init__(self, stream: WireStream, codec: Codec) -> None:
        self.stream, self.codec = stream, codec
        self.is_broken = False
        """Nothing can be written any more."""
        self._backlog: list[bytes] = []
        self._size = 0  # of the backlog
        self._is_stuck = False  # the stream took less than it was given: it will say when there is room
        self._waiting: list[Callable[[], None]] = []
        self._drained = asyncio.Event()
        self._drained.set()
        stream.on_room = self._go_on

    @property
    def has_room(self) -> bool:
        """Whether bodies may go on."""
        return self._size < BACKLOG or self.is_broken

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call it, in a turn of its own, once bodies may go on; at a time when they may not."""
        self._waiting.append(callback)

    def touch(self) -> None:
        """The codec may have said something: send it."""
        out = self.codec.data_to_send()
        if not out or self.is_broken:
            return
        if self._is_stuck:
            self._keep(out)
        else:
            self._send(out[0] if len(out) == 1 else b"".join(out))

    def _keep(self, said: list[bytes]) -> None:
        self._backlog += said
        self._size += sum(map(len, said))
        if self._size > MOST_BACKLOG:
            self.abort()
        elif not self.has_room:
            self._drained.clear()

    def _go_on(self) -> None:
        """The stream has room again."""
        self._is_stuck, self._size = False, 0
        kept, self._backlog = self._backlog, []
        if kept and not self.is_broken:
            self._send(kept[0] if len(kept) == 1 else b"".join(kept))
        if self.has_room:
            self._tell_room()

    def _send(self, data: bytes) -> None:
        try:
            taken = self.stream.send_now(data)
        except HboneError:
            self._give_up()
            return
        if taken < len(data):
            self._is_stuck = True
            self._keep([data[taken:]])

    def _tell_room(self) -> None:
        self._drained.set()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            loop = asyncio.get_running_loop()
            for callback in waiting:
                loop.call_soon(callback)

    def _give_up(self) -> None:
        self.is_broken = True
        self._backlog, self._size = [], 0
        self._tell_room()

    async def room(self) -> None:
        """Wait until bodies may go on."""
        if not self.has_room:
            await self._drained.wait()

    async def flushed(self) -> None:
        """Wait until the kernel has everything."""
        while self._backlog and not self.is_broken:
            self._drained.clear()
            await self._drained.wait()

    def abort(self) -> None:
        """End it at once, by a reset."""
        self._give_up()
        self.stream.abort()
