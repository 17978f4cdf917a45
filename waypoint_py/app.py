"""The map of the process: everything is built here, started here, and drained here.

tunnel ══ 15008 terminate ─┬─ http_proxy ─ chains (tokens, policies, filters) ─ forward ─┬─ HBONE ══════════════ a pod
                           └─ byte_proxy ─ policies ─ TCPRoute ────────────────────────┼─ Istio mutual TLS ═══ a sidecar
                                                                                       └─ plain TCP
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mesh_py.manifests.proxy_file import read_waypoint_file
from mesh_py.proxy.app import Role, run_proxy
from waypoint_py.data_plane import DataPlane
from waypoint_py.listening import data_addresses, surface_addresses
from waypoint_py.surfaces import Surfaces
from waypoint_py.user_filters import UserFilters

if TYPE_CHECKING:
    from mesh_py.manifests.proxy_file import Further
    from waypoint_py.config import Settings


async def run(settings: Settings) -> int:
    """Serve until told to stop; the exit status. Raises: see `run_proxy`."""
    user_filters = UserFilters()

    def take(further: Further) -> None:
        user_filters.take(further.chain.filters)

    build = partial(DataPlane.build, user_filters=user_filters)
    waypoint = Role(read_waypoint_file, data_addresses, surface_addresses, build, Surfaces, take=take, is_gateway=True)
    return await run_proxy(waypoint, settings)
