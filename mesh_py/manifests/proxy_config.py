"""What one sidecar or waypoint is told beside workloads and services: the manifests that concern it [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesh_py.manifests.mesh_config import MeshConfig

if TYPE_CHECKING:
    from mesh_py.manifests.objects import KubernetesObject


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The configuration of one proxy (docs/proxy-config.md)."""

    name: str
    """`namespace/name`: of the pod for a sidecar, of the Gateway for a waypoint."""
    mesh: MeshConfig = field(default_factory=MeshConfig)
    """Names of the mesh. Cluster and network are not told: they are the proxy's own."""
    objects: tuple[KubernetesObject, ...] = ()
    """By kind, and of one kind the oldest first."""
