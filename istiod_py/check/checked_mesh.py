"""What the rules look at: manifests that are completed and converted, with the look-ups that rules share [pure]."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from istiod_py.ambient.build import build
from istiod_py.ambient.participation import DataPlane, data_plane_of
from istiod_py.ambient.vocabulary import GATEWAY_NAME
from istiod_py.ambient.waypoints import Waypoints
from mesh_py.manifests.core import Pod
from mesh_py.manifests.metadata import NO_LABELS
from mesh_py.manifests.networking import WorkloadEntry
from mesh_py.manifests.objects import labels_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from istiod_py.ambient.mesh import Mesh
    from istiod_py.ambient.options import AmbientOptions
    from istiod_py.ambient.waypoints import Waypoint
    from mesh_py.manifests.core import Service
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.networking import ServiceEntry
    from mesh_py.manifests.objects import Manifests
    from mesh_py.manifests.routes import Route


class CheckedMesh:
    """One state of a folder."""

    def __init__(self, manifests: Manifests, options: AmbientOptions) -> None:
        self.manifests = manifests
        self.options = options
        self.mesh: Mesh = build(manifests, options)
        self.waypoints = Waypoints(manifests, options.mesh)

    @property
    def root_namespace(self) -> str:
        """Whose policies are for everybody."""
        return self.options.mesh.root_namespace

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes."""
        return (*self.manifests.http_routes, *self.manifests.grpc_routes, *self.manifests.tcp_routes)

    def names(self, kind: str, namespace: str) -> list[str]:
        """The names of a kind's objects in a namespace."""
        return self._names.get((kind, namespace), [])

    @cached_property
    def _names(self) -> Mapping[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for one in self.manifests.all():
            found.setdefault((one.kind, one.metadata.namespace), []).append(one.metadata.name)
        return found

    def workloads_selected_in(self, namespace: str, selector: Labels) -> list[Pod | WorkloadEntry]:
        """What a selector selects in its own namespace."""
        return [
            *self.manifests.pods_selected(namespace, selector),
            *self.manifests.workload_entries_selected(namespace, selector),
        ]

    def workloads_selected(self, namespace: str, selector: Labels) -> list[Pod | WorkloadEntry]:
        """What a policy's selector selects: of its namespace, or of all where that is the root namespace."""
        namespaces = self._with_workloads if namespace == self.root_namespace else [namespace]
        return [one for name in namespaces for one in self.workloads_selected_in(name, selector)]

    @cached_property
    def _with_workloads(self) -> list[str]:
        found = [pod.metadata.namespace for pod in self.manifests.pods]
        found += [entry.metadata.namespace for entry in self.manifests.workload_entries]
        return sorted(set(found))

    def labels_of(self, namespace: str, name: str) -> Labels:
        """The labels of a pod or WorkloadEntry; none where there is no such."""
        one = self.manifests.find(Pod, namespace, name) or self.manifests.find(WorkloadEntry, namespace, name)
        return NO_LABELS if one is None else labels_of(one)

    def labels_in(self, namespace: str) -> list[Labels]:
        """The labels of all pods and WorkloadEntries of a namespace."""
        return [labels_of(one) for one in self.workloads_selected_in(namespace, {})]

    def waypoint_of(self, service: Service | ServiceEntry) -> Waypoint | None:
        """The waypoint in front of a service."""
        return self.waypoints.of_service(service.kind, service.metadata).waypoint

    def data_plane(self, pod: Pod) -> DataPlane:
        """Which proxy a pod has."""
        return data_plane_of(pod, self.manifests.namespace_labels(pod.metadata.namespace))

    @cached_property
    def waypoints_in_front(self) -> Mapping[str, dict[str, Waypoint]]:
        """The waypoints of services in front of each pod: by the pod's key, then by their own."""
        found: dict[str, dict[str, Waypoint]] = {}
        for service in self.manifests.services:
            waypoints = self.waypoints.of_service(service.kind, service.metadata).waypoints if service.selector else ()
            if waypoints:
                for pod in self.manifests.pods_selected(service.metadata.namespace, service.selector):
                    found.setdefault(pod.metadata.key, {}).update((one.key, one) for one in waypoints)
        return found

    @cached_property
    def has_sidecars(self) -> bool:
        """Whether any pod has a sidecar."""
        return any(self.data_plane(pod) is DataPlane.SIDECAR for pod in self.manifests.pods)

    def is_outside(self, pod: Pod) -> bool:
        """Whether a pod has no proxy and is no gateway or waypoint itself."""
        return self.data_plane(pod) is DataPlane.NONE and GATEWAY_NAME not in pod.metadata.labels

    @cached_property
    def outside(self) -> Sequence[Pod]:
        """Pods that have no proxy and are none: what they send is plaintext, and nobody guards them."""
        return [pod for pod in self.manifests.pods if self.is_outside(pod)]

    @cached_property
    def accounts(self) -> Mapping[str, set[str]]:
        """Service accounts by namespace: those described, and those that something runs as."""
        found: dict[str, set[str]] = {}
        for account in self.manifests.service_accounts:
            found.setdefault(account.metadata.namespace, set()).add(account.metadata.name)
        for workload in self.mesh.workloads.values():
            found.setdefault(workload.namespace, set()).add(workload.service_account or "default")
        return found

    @cached_property
    def namespaces(self) -> set[str]:
        """Namespaces that are described or that something is in."""
        written = {one.metadata.namespace or one.metadata.name for one in self.manifests.all()}
        return written | {workload.namespace for workload in self.mesh.workloads.values()}
