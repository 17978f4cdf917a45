"""What every data plane of a process is built on: one for the process itself, or in shared mode one for each pod."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_py.discovery.state import MeshState
    from mesh_py.identity.certificates import Certificates
    from mesh_py.telemetry.logs import Logs
    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.tracing.tracer import Tracer
    from mesh_py.xds.on_demand import OnDemand
    from ztunnel_py.config import Settings
    from ztunnel_py.revocation import RevocationGuard


@dataclasses.dataclass(frozen=True, slots=True)
class Foundation:
    """The mesh as it is known, and what those who serve it count and log with."""

    settings: Settings
    state: MeshState
    certificates: Certificates
    logs: Logs
    metrics: Metrics
    may_grow: bool = False
    """Discovery may still bring what is not known: then connections wait for their workload."""
    names: OnDemand | None = None
    """Whom to ask for what is known on demand only."""
    revocation: RevocationGuard | None = None
    """Judges peers by revocation lists."""
    tracer: Tracer | None = None
    """Begins spans."""

    def without_borrowed_addresses(self) -> Foundation:
        """The same for who is reached from its own network, where nothing would bring replies back."""
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, preserve_source=False))
