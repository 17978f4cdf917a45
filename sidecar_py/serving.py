"""From settings to a process that serves: one sidecar, or the embedded world."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mesh_py.process.file_limit import raise_file_limit
from mesh_py.process.port_holder import refuse_taken
from mesh_py.process.run_loop import started
from sidecar_py.embedded_default import EMBEDDED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.source import Given


def serve(layers: Sequence[Mapping[str, Given]], parameters: Mapping[str, Any]) -> int:
    """Serve until told to end; the exit status. Raises SettingsError before anything is started."""
    raise_file_limit()
    if EMBEDDED.applies(layers, os.environ):
        from sidecar_py.embedded import WORLD
        from sidecar_py.world import World

        world = World(parameters["world_net"])
        return WORLD.serve(world, parameters["state_dir"], EMBEDDED.environment(layers))
    from sidecar_py.app import run
    from sidecar_py.config import from_values
    from sidecar_py.listening import all_addresses

    settings = from_values(layers, os.environ)
    refuse_taken(all_addresses(settings))
    return started(run(settings), parameters["loop"])
