"""What all proxies of a process have in common: one for the process itself, or in shared mode one for each pod."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ztunnel_py.data_plane import DataPlane

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from mesh_py.discovery.state import MeshState
    from mesh_py.identity.certificates import Certificates
    from mesh_py.telemetry.logs import Logs
    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.tracing.tracer import Tracer
    from mesh_py.xds.on_demand import OnDemand
    from ztunnel_py.config import Settings
    from ztunnel_py.context import PodNetwork
    from ztunnel_py.revocation import RevocationGuard


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """The mesh as it is known, and what serves it is counted and logged by."""

    settings: Settings
    state: MeshState
    certificates: Certificates
    logs: Logs
    metrics: Metrics
    may_grow: bool = False
    """Discovery may still bring what is not known."""
    names: OnDemand | None = None
    """Whom to ask for what is known on demand only."""
    revocation: RevocationGuard | None = None
    tracer: Tracer | None = None

    def data_plane(self, sockets: Mapping[str, socket.socket], pod: PodNetwork | None = None) -> DataPlane:
        """Serve on bound sockets. Raises StartError."""
        return DataPlane.start(
            self.settings,
            sockets,
            self.state,
            self.certificates,
            self.logs,
            self.metrics,
            may_grow=self.may_grow,
            names=self.names,
            revocation=self.revocation,
            tracer=self.tracer,
            pod=pod,
        )

    def without_borrowed_addresses(self) -> Parts:
        """The same for who is reached from its own network, where nothing would bring replies back."""
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, preserve_source=False))
