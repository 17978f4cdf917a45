"""Which PeerAuthentications are in force for a workload, and what they come to (hbone-controlplane 4.7) [pure].

There are three levels: the mesh (root namespace, no selector), the namespace (no selector), the workload (a selector).
The oldest object of a level counts; UNSET inherits from the level above; nothing anywhere is PERMISSIVE. Ports are told
at the level of the workload only. Selectors in the root namespace select nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesh_py.manifests.security import MutualTls
from mesh_py.manifests.selector import has_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.security import PeerAuthentication


@dataclass(frozen=True, slots=True)
class PeerMode:
    """What one workload asks of its peers."""

    mode: MutualTls
    """Of ports that are not named: STRICT, PERMISSIVE or DISABLE."""
    ports: Mapping[int, MutualTls] = field(default_factory=dict)
    """Ports of the workload with a mode of their own; never UNSET."""

    def at(self, port: int) -> MutualTls:
        """The mode of a port."""
        return self.ports.get(port, self.mode)


@dataclass(frozen=True, slots=True)
class PeerLevels:
    """The objects in force for one workload, one of each level at most."""

    mesh: PeerAuthentication | None = None
    namespace: PeerAuthentication | None = None
    workload: PeerAuthentication | None = None

    @property
    def parent_mode(self) -> MutualTls:
        """The mode of the namespace, which a workload inherits."""
        modes = (level.mtls for level in (self.namespace, self.mesh) if level is not None)
        return next((mode for mode in modes if mode is not MutualTls.UNSET), MutualTls.PERMISSIVE)

    def resolve(self) -> PeerMode:
        """The mode of the workload, port by port."""
        if self.workload is None:
            return PeerMode(self.parent_mode)
        own = self.workload.mtls
        told = {port: mode for port, mode in self.workload.port_level_mtls.items() if mode is not MutualTls.UNSET}
        return PeerMode(self.parent_mode if own is MutualTls.UNSET else own, told)


class PeerModes:
    """All PeerAuthentications of a mesh, by level."""

    def __init__(self, objects: Iterable[PeerAuthentication], root_namespace: str) -> None:
        self.root_namespace = root_namespace
        self._of_namespace: dict[str, PeerAuthentication] = {}
        self._of_workloads: dict[str, list[PeerAuthentication]] = {}
        for one in sorted(objects, key=lambda one: one.metadata.age):
            if one.selector:
                self._of_workloads.setdefault(one.metadata.namespace, []).append(one)
            else:
                self._of_namespace.setdefault(one.metadata.namespace, one)

    def levels(self, namespace: str, labels: Labels) -> PeerLevels:
        """What is in force for a workload with these labels."""
        selecting = (one for one in self.of_workloads(namespace) if has_labels(labels, one.selector or {}))
        above = self.above(namespace)
        return PeerLevels(above.mesh, above.namespace, next(selecting, None))

    def above(self, namespace: str) -> PeerLevels:
        """What is in force for the workloads of a namespace that no selector selects."""
        mesh = self._of_namespace.get(self.root_namespace)
        return PeerLevels(mesh, None if namespace == self.root_namespace else self._of_namespace.get(namespace))

    def of_workloads(self, namespace: str) -> Iterator[PeerAuthentication]:
        """Those of a namespace that have a selector and can select something, the oldest first."""
        if namespace != self.root_namespace:
            yield from self._of_workloads.get(namespace, ())

    def without_effect(self, objects: Iterable[PeerAuthentication]) -> Iterator[tuple[PeerAuthentication, str]]:
        """Those that nothing ever obeys, each with the reason."""
        for one in objects:
            namespace = one.metadata.namespace
            if one.selector:
                if namespace == self.root_namespace:
                    yield one, "a selector in the root namespace selects nothing"
                continue
            if (oldest := self._of_namespace[namespace]) is not one:
                yield one, f"{oldest.metadata.key} is older and counts for the whole namespace"
            if one.port_level_mtls:
                yield one, "ports have modes of their own only together with a selector"
