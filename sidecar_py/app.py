"""The map of the process: everything is built here, started here, and drained here.

application ─ 15001 outbound ─ detect ─ route ─ endpoint ─┬─ Istio mutual TLS ═══ another sidecar
(15080 SOCKS5)                                            ├─ HBONE ══════════════ a pod, or its waypoint
                                                          └─ plain TCP
15006 inbound ─ mutual TLS or plain ─ detect ─ policy ─┬─ application (from 127.0.0.6)
15008 HBONE ───────────────────────────────────────────┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.manifests.proxy_file import read_proxy_file
from mesh_py.proxy.app import Role, run_proxy
from sidecar_py.data_plane import DataPlane
from sidecar_py.listening import KEPT_ALIVE, data_addresses, surface_addresses
from sidecar_py.surfaces import Surfaces

if TYPE_CHECKING:
    from sidecar_py.config import Settings

SIDECAR = Role(read_proxy_file, data_addresses, surface_addresses, DataPlane.build, Surfaces, kept_alive=KEPT_ALIVE)


async def run(settings: Settings) -> int:
    """Serve until told to stop; the exit status. Raises: see `run_proxy`."""
    return await run_proxy(SIDECAR, settings)
