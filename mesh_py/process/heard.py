"""What a family's processes write: kept until it has been judged, then shown as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesh_py.process.console import Console

Line = tuple[str, str]
"""Who wrote it, and what."""
_KEPT = 100_000
"""Lines, of a demonstration that writes some hundreds."""


class Heard:
    """Takes in lines (`heard`), and lets others wait for what they look for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_live = False
        self._more = asyncio.Event()
        self.lines: list[Line] = []

    def heard(self, name: str, line: str) -> None:
        """One line of a process."""
        if self._is_live:
            self._console.heard(name, line)
        elif len(self.lines) < _KEPT:
            self.lines.append((name, line))
            self._more.set()

    def go_live(self) -> None:
        """From now on lines are shown."""
        self._is_live = True

    async def until(self, is_all: Callable[[Sequence[Line]], bool], seconds: float) -> bool:
        """Wait until the lines satisfy; False if they do not in time."""
        try:
            async with asyncio.timeout(seconds):
                while not is_all(self.lines):
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return False
        return True
