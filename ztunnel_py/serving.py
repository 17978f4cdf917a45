"""From settings to a process that serves: one proxy, several workers of one, or the embedded world."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh_py.process.children import WORKER_SOCKET
from mesh_py.process.file_limit import raise_file_limit
from mesh_py.process.port_holder import refuse_taken
from mesh_py.process.run_loop import started
from mesh_py.settings.source import SettingsError
from ztunnel_py.embedded_default import EMBEDDED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.source import Given
    from ztunnel_py.config import Settings


def serve(layers: Sequence[Mapping[str, Given]], parameters: Mapping[str, Any]) -> int:
    """Serve until told to end; the exit status. Raises SettingsError before anything is started."""
    raise_file_limit()
    if EMBEDDED.applies(layers, os.environ):
        from ztunnel_py.embedded import WORLD
        from ztunnel_py.world import World

        world = World(parameters["world_net"])
        return WORLD.serve(world, parameters["state_dir"], EMBEDDED.environment(layers))
    from ztunnel_py.config import from_values

    return _serve_proxy(from_values(layers, os.environ), parameters["loop"])


def _serve_proxy(settings: Settings, loop: str | None) -> int:
    """One process, or a parent and its workers; or one of those workers."""
    from ztunnel_py.app import run

    if (socket := os.environ.get(WORKER_SOCKET)) is not None:
        return started(run(settings, worker=Path(socket)), loop)
    refuse_taken_ports(settings)
    if settings.stub_backends:
        from ztunnel_py.stub_backends import run_stubbed

        return started(run_stubbed(settings), loop)
    if settings.workers > 1:
        from ztunnel_py.supervisor import supervise

        return started(supervise(settings), "asyncio")
    return started(run(settings), loop)


def refuse_taken_ports(settings: Settings) -> None:
    """Find a live listener before anything is started. Raises SettingsError naming who has the port.

    Without this look a second group of workers would be let onto the ports of the first: they are shared on purpose.
    """
    from ztunnel_py.listening import data_addresses, dns_addresses, surface_addresses

    addresses = (*data_addresses(settings), *dns_addresses(settings), *surface_addresses(settings))
    if settings.workers > 1 and any(port == 0 for _, _, port in addresses):
        raise SettingsError("--workers: they share ports, so none can be 0 (any free one): name the ports")
    refuse_taken(addresses)
