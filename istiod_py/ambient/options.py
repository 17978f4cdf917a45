"""What the operator of the control plane chooses about the mesh it serves [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field

from mesh_py.manifests.mesh_config import MeshConfig


@dataclass(frozen=True, slots=True)
class AmbientOptions:
    """The mesh's names, and istiod's feature switches as far as they decide what is told (hbone-controlplane 10.2)."""

    mesh: MeshConfig = field(default_factory=MeshConfig)
    send_dry_run: bool = False
    """`AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY`: send policies that are only to be logged, as such."""
    allow_waypoints: bool = False
    """`PILOT_AUTO_ALLOW_WAYPOINT_POLICY`: let every waypoint reach what is behind it, whatever other policies say."""
