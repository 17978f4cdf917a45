"""From settings to a process that serves: one proxy, several workers of one, or the embedded world."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from hbone_py.errors import TlsConfigError
from mesh_py.discovery.problems import ConfigError
from ztunnel_py.command_line import complain
from ztunnel_py.embedded_default import is_embedded, passed_on

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from ztunnel_py.settings_source import Given


def serve(layers: Sequence[Mapping[str, Given]], parameters: Mapping[str, Any]) -> int:
    """Serve until told to end; the exit status. Raises SettingsError before anything is started."""
    if is_embedded(layers, os.environ):
        from ztunnel_py.embedded import run_embedded

        return run_embedded(parameters["world_net"], parameters["state_dir"], passed_on(layers))
    from ztunnel_py.config import from_values

    settings = from_values(layers, os.environ)
    if settings.workers > 1:
        from ztunnel_py.supervisor import supervise

        return started(supervise(settings, parameters["loop"]), None)
    from ztunnel_py.app import run

    return started(run(settings), parameters["loop"])


def started(main: Coroutine[Any, Any, int], loop: str | None) -> int:
    """Run a server to its end; what keeps it from starting becomes one line and status 2."""
    from ztunnel_py.app import StartError

    try:
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            return runner.run(main)
    except (StartError, TlsConfigError, ConfigError) as error:
        return complain(str(error))


def loop_factory(name: str | None) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop: uvloop where it can be imported, unless the plain one was asked for."""
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if name == "uvloop":
            raise SystemExit(complain("--loop uvloop: uvloop is not installed: leave the flag out")) from None
        return None
    return uvloop.new_event_loop
