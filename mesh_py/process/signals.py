"""SIGTERM and Ctrl-C: the first asks for an orderly end, the second for an end at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def stop_signals(stop: asyncio.Event, now: asyncio.Event) -> Iterator[None]:
    """SIGTERM or SIGINT sets `stop`, a second one sets `now`."""
    loop = asyncio.get_running_loop()

    def received() -> None:
        (now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
