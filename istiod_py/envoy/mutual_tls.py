"""What a sidecar's own ports ask of their peers, by PeerAuthentication (hbone-controlplane 4.7) [pure].

Mesh (root namespace, no selector), namespace, workload, port: the nearest that says something wins; of several at one
level the oldest. Nothing said is PERMISSIVE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mesh_py.manifests.security import MutualTls
from mesh_py.manifests.selector import has_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from istiod_py.envoy.mesh import Mesh
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.security import PeerAuthentication


class Modes(NamedTuple):
    """The mode of a workload, and the ports that differ."""

    workload: MutualTls
    ports: Mapping[int, MutualTls]

    def of(self, port: int) -> MutualTls:
        """The mode of a port of the workload."""
        mode = self.ports.get(port, MutualTls.UNSET)
        return self.workload if mode is MutualTls.UNSET else mode


def modes_of(mesh: Mesh, namespace: str, labels: Labels) -> Modes:
    """The modes of a workload with these labels."""
    policies = mesh.manifests.peer_authentications
    of_mesh = _oldest(one for one in policies if one.metadata.namespace == mesh.root_namespace and not one.selector)
    own = [one for one in policies if one.metadata.namespace == namespace]
    of_namespace = _oldest(one for one in own if not one.selector)
    of_workload = _oldest(one for one in own if one.selector and has_labels(labels, one.selector))
    nearest_first = [one for one in (of_workload, of_namespace, of_mesh) if one is not None]
    said = (one.mtls for one in nearest_first if one.mtls is not MutualTls.UNSET)
    ports = of_workload.port_level_mtls if of_workload is not None else {}
    return Modes(next(said, MutualTls.PERMISSIVE), ports)


def _oldest(policies: Iterable[PeerAuthentication]) -> PeerAuthentication | None:
    return min(policies, key=lambda one: one.metadata.age, default=None)
