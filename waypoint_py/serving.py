"""From settings to a process that serves: one waypoint, or the embedded world."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mesh_py.process.file_limit import raise_file_limit
from mesh_py.process.port_holder import why_not
from mesh_py.process.run_loop import started
from mesh_py.settings.source import SettingsError
from waypoint_py.embedded_default import EMBEDDED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.source import Given
    from waypoint_py.config import Settings


def serve(layers: Sequence[Mapping[str, Given]], parameters: Mapping[str, Any]) -> int:
    """Serve until told to end; the exit status. Raises SettingsError before anything is started."""
    raise_file_limit()
    if EMBEDDED.applies(layers, os.environ):
        from waypoint_py.embedded import run_embedded

        return run_embedded(parameters["world_net"], parameters["state_dir"], EMBEDDED.environment(layers))
    from waypoint_py.app import run
    from waypoint_py.config import from_values

    settings = from_values(layers, os.environ)
    refuse_taken_ports(settings)
    return started(run(settings), parameters["loop"])


def refuse_taken_ports(settings: Settings) -> None:
    """Find a live listener before anything is started. Raises SettingsError naming who has the port."""
    from waypoint_py.app import all_addresses

    for _, host, port in all_addresses(settings):
        if (problem := why_not(host, port)) is not None:
            raise SettingsError(f"{problem}; or choose another address with --bind")
