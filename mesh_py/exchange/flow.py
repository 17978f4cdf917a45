"""One body on its way through, by plain calls: from where it waits to where it goes, as far as there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.exchange.wire import Wire

_TOGETHER = 64 * 1024
"""Bytes that are collected for one write, where so much is there."""


class Flow:
    """Moves pieces whenever it is told that there may be more, or room for more. What it leaves stays with its source,
    which bounds it."""

    __slots__ = ("_again", "_is_waiting", "_read", "_rest", "_send", "_wire")

    def __init__(
        self, read: Callable[[], bytes | None], send: Callable[[bytes], int], wire: Wire, again: Callable[[], None]
    ) -> None:
        """
        Args:
            read: the next piece; b"" at the end, None if there is none yet.
            send: how much of a piece was taken; less than all of it while a window is shut.
            wire: where it goes out.
            again: called when the wire has room again.
        """
        self._read, self._send, self._wire, self._again = read, send, wire, again
        self._rest = b""
        self._is_waiting = False

    def move(self) -> bool:
        """Move what can be moved now; True once that was all of the body. Then it still has to be ended."""
        wire, collected = self._wire, 0
        while self._has_room():
            data = self._rest or self._read()
            if not data:
                if data is None:
                    break
                return True
            taken = self._send(data)
            collected += taken
            if taken < len(data):
                self._rest = data[taken:]
                break
            self._rest = b""
            if collected >= _TOGETHER:
                wire.touch()
                collected = 0
        wire.touch()
        return False

    def _has_room(self) -> bool:
        if self._wire.has_room:
            return True
        if not self._is_waiting:
            self._is_waiting = True
            self._wire.when_room(self._has_room_again)
        return False

    def _has_room_again(self) -> None:
        self._is_waiting = False
        self._again()
