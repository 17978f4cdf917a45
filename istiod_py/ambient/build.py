"""From all manifests to the whole mesh [pure].

What an object is told as depends on so many others (its namespace, waypoints, policies, services) that keeping track
of each would cost more care than time. One line is drawn: nothing depends on a pod but what is told about that pod,
unless it is a waypoint's. So where only pods have changed, which are most of a mesh and of its changes, all others stay
as they were, and those pods alone are converted. Any other change converts everything anew; `Mesh.sharing` then finds
what came to the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from istiod_py.ambient.context import Context
from istiod_py.ambient.entries import endpoint_workloads, entry_workload
from istiod_py.ambient.local_objects import add_local_objects
from istiod_py.ambient.mesh import Mesh
from istiod_py.ambient.options import AmbientOptions
from istiod_py.ambient.pods import is_told, pod_workload
from istiod_py.ambient.policies import Policies
from istiod_py.ambient.services import all_services
from istiod_py.ambient.slices import slice_workloads
from istiod_py.ambient.surroundings import Surroundings
from istiod_py.ambient.vocabulary import GATEWAY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.ambient.notices import Notice
    from istiod_py.ambient.participation import DataPlane
    from mesh_py.manifests.core import Pod
    from mesh_py.manifests.objects import KubernetesObject, Manifests
    from mesh_py.model.workload import Workload

DEFAULTS = AmbientOptions()


def build(manifests: Manifests, options: AmbientOptions = DEFAULTS) -> Mesh:
    """What node proxies are told about these manifests. Never fails: what cannot be told is a notice."""
    return Conversion(manifests, options).mesh


class _Told(NamedTuple):
    """What came of a pod."""

    pod: Pod
    workload: Workload
    data_plane: DataPlane
    notices: tuple[Notice, ...]


class _Common:
    """All that is told, less the pods; and what each pod has from others."""

    def __init__(self, others: Manifests, options: AmbientOptions) -> None:
        self.others = others
        self.context = Context(others, options)
        services, self.notices = all_services(self.context)
        policies = Policies(self.context)
        self.surroundings = Surroundings(self.context, services, policies)
        self.services = {str(facts.service.key): facts.service for facts in services}
        self.policies = dict(policies.by_key)
        self.workloads = {one.uid: one for one in self._workloads()}
        self.notices += [*policies.notices, *self.surroundings.taken_notices()]

    def _workloads(self) -> Iterator[Workload]:
        """Every workload that is no pod."""
        context, surroundings = self.context, self.surroundings
        for entry in self.others.workload_entries:
            yield entry_workload(entry, context, surroundings)
        for service_entry in self.others.service_entries:
            yield from endpoint_workloads(service_entry, context, surroundings, self.notices)
        for slice_ in self.others.endpoint_slices:
            yield from slice_workloads(slice_, context, surroundings)
        for gateway in context.network_gateways:
            yield gateway.workload(context.mesh)

    def told(self, pod: Pod) -> _Told:
        """What comes of a pod."""
        workload, data_plane = pod_workload(pod, self.context, self.surroundings)
        return _Told(pod, workload, data_plane, tuple(self.surroundings.taken_notices()))


class Conversion:
    """One state of the manifests and the mesh they make, from which the next state may have what stays the same.

    The mesh is the same whether there is a state before or not.
    """

    def __init__(
        self, manifests: Manifests, options: AmbientOptions = DEFAULTS, before: Conversion | None = None
    ) -> None:
        self._options = options
        others = _others(manifests)
        stays = before is not None and before._options == options and before._told_alike(others)
        self._common: _Common = before._common if before is not None and stays else _Common(others, options)
        known: dict[str, _Told] = before._pods if before is not None and stays else {}
        told = filter(is_told, manifests.pods)
        self._pods: dict[str, _Told] = {pod.metadata.key: self._told(pod, known) for pod in told}
        self.mesh = self._mesh()

    def _told(self, pod: Pod, known: dict[str, _Told]) -> _Told:
        told = known.get(pod.metadata.key)
        if told is not None and (told.pod is pod or _is_same(told.pod, pod)):
            return told
        return self._common.told(pod)

    def _told_alike(self, others: Manifests) -> bool:
        """Whether `others` would be told as our own are, and with the same remarks."""
        ours = self._common.others
        has_place = _is_same if self.mesh.notices else _has_same_age
        return ours == others and all(
            one is other or has_place(one, other) for one, other in zip(ours.all(), others.all(), strict=True)
        )

    def _mesh(self) -> Mesh:
        """What comes later under the same uid would win, and uids differ by kind, namespace and name."""
        common, pods = self._common, self._pods.values()
        workloads = {told.workload.uid: told.workload for told in pods} | common.workloads
        services, policies = dict(common.services), dict(common.policies)
        notices = [*common.notices, *(one for told in pods for one in told.notices)]
        trust_domain = common.context.mesh.trust_domain
        notices += add_local_objects(common.others.local_configs, workloads, services, policies, trust_domain)
        by_place = sorted(dict.fromkeys(notices), key=lambda one: one.place)
        data_planes = {told.workload.uid: told.data_plane for told in pods}
        return Mesh(workloads, services, policies, data_planes, common.context.waypoints.by_key, tuple(by_place))


def _others(manifests: Manifests) -> Manifests:
    """All that what is told about a pod may depend on, beside the pod."""
    of_waypoints = tuple(pod for pod in manifests.pods if GATEWAY_NAME in pod.metadata.labels)
    return replace(manifests, pods=of_waypoints, deployments=())


def _is_same(one: KubernetesObject, other: KubernetesObject) -> bool:
    """Equal, and written at the same place down to each part of it, as remarks tell it."""
    return one == other and repr(one) == repr(other)


def _has_same_age(one: KubernetesObject, other: KubernetesObject) -> bool:
    return one.metadata.age == other.metadata.age
