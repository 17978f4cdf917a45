"""Running a server to its end on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING, Any

from hbone_py.aio.loop import ReactorLoop
from hbone_py.errors import TlsConfigError
from mesh_py.admin.worker_link import WorkerLinkError
from mesh_py.discovery.problems import ConfigError
from mesh_py.process.complaints import complain
from mesh_py.process.listening import StartError
from mesh_py.settings.source import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def started(main: Coroutine[Any, Any, int], loop: str | None) -> int:
    """Run a server to its end; what keeps it from starting becomes one line and status 2."""
    gc.freeze()  # its modules stay: each full collection would walk them all, for tens of milliseconds and in vain
    try:
        with contextlib.closing(main), asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            return runner.run(main)
    except (StartError, TlsConfigError, ConfigError, WorkerLinkError) as error:
        return complain(str(error))


def loop_factory(name: str | None) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop: `reactor` (decision 0006), `asyncio`, or `uvloop`, as for None where it is there."""
    if name == "reactor":
        return ReactorLoop
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if name == "uvloop":
            raise SettingsError("--loop uvloop: uvloop is not installed: leave the flag out") from None
        return None
    return uvloop.new_event_loop
