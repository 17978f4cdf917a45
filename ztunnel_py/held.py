"""An accepted socket that waits until it can be decided what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.errors import HboneError
    from ztunnel_py.connections import Connections


class Held:
    """Ends once: with `go_on`, or cut by a drain, which `refuse` hears of. A drain waits for it like for any other."""

    __slots__ = ("_connections", "_is_over", "_refuse")

    def __init__(self, connections: Connections, refuse: Callable[[HboneError], None]) -> None:
        self._connections, self._refuse = connections, refuse
        self._is_over = False
        connections.pending.add(self)

    def go_on(self, decide: Callable[[], None]) -> None:
        """What was waited for is here, or is not hoped for any more."""
        self._end(decide)

    def cut(self, error: HboneError) -> None:
        """The drain is over."""
        self._end(lambda: self._refuse(error))

    def _end(self, act: Callable[[], None]) -> None:
        """What it becomes is counted before it is no longer pending: a drain must not miss it in between."""
        if self._is_over:
            return
        self._is_over = True
        try:
            act()
        finally:
            self._connections.settled(self)
