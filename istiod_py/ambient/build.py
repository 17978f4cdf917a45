"""From all manifests to the whole mesh [pure].

What an object is told as depends on so many others (its namespace, waypoints, policies, services) that keeping track
of each would cost more care than time. Two lines are drawn, for pods are most of a mesh and of its changes. Nothing
depends on a pod but what is told about that pod, unless it is a waypoint's: where only pods have changed, those pods
alone are converted. And services, policies and endpoints concern the pods of their own namespace only, unless it is the
root namespace: where only such have changed, all that is no pod is converted anew, and of pods those of the namespaces
that were touched. Any other change converts everything; `Mesh.sharing` then finds what came to the same.
"""

from __future__ import annotations

from collections import defaultdict
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
from mesh_py.manifests.core import EndpointSlice, Service
from mesh_py.manifests.networking import ServiceEntry, WorkloadEntry
from mesh_py.manifests.security import AuthorizationPolicy, PeerAuthentication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from istiod_py.ambient.notices import Notice
    from istiod_py.ambient.participation import DataPlane
    from mesh_py.manifests.core import Pod
    from mesh_py.manifests.objects import KubernetesObject, Manifests
    from mesh_py.model.workload import Workload

DEFAULTS = AmbientOptions()

_OF_THEIR_NAMESPACE = (AuthorizationPolicy, EndpointSlice, PeerAuthentication, Service, ServiceEntry, WorkloadEntry)
"""Kinds whose objects concern the pods of one namespace."""
_EVERYBODY = ""
"""In place of a namespace: whom all other objects concern."""
_NEVER_TOLD = dict.fromkeys(
    (
        "service_accounts",
        "request_authentications",
        "reference_grants",
        "http_routes",
        "grpc_routes",
        "tcp_routes",
        "destination_rules",
        "filter_configs",
    ),
    (),
)
"""What node proxies have no use for."""


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
        self._concern = _by_concern(others := _others(manifests), options)
        known: Mapping[str, _Told] = {}
        if before is None or before._options != options:
            self._common = _Common(others, options)
        elif (touched := before._touched(self._concern)) or others.local_configs != before._common.others.local_configs:
            self._common = _Common(others, options)
            known = before._untouched_pods(touched, self._common)
        else:
            self._common, known = before._common, before._pods
        told = filter(is_told, manifests.pods)
        self._pods: dict[str, _Told] = {pod.metadata.key: self._told(pod, known) for pod in told}
        self.mesh = self._mesh()

    def _told(self, pod: Pod, known: Mapping[str, _Told]) -> _Told:
        told = known.get(pod.metadata.key)
        if told is not None and (told.pod is pod or _is_same(told.pod, pod)):
            return told
        return self._common.told(pod)

    def _touched(self, concern: Mapping[str, Sequence[KubernetesObject]]) -> set[str]:
        """The namespaces with objects that may be told otherwise than our own are, or with other remarks."""
        has_place = _is_same if self.mesh.notices else _has_same_age
        return {
            namespace
            for namespace in self._concern.keys() | concern.keys()
            if not _alike(self._concern.get(namespace, ()), concern.get(namespace, ()), has_place)
        }

    def _untouched_pods(self, touched: set[str], common: _Common) -> Mapping[str, _Told]:
        """What is still true of our pods. A namespace's Service may be what a waypoint of everybody's is reached by."""
        if _EVERYBODY in touched or common.context.waypoints.by_key != self._common.context.waypoints.by_key:
            return {}
        return {key: told for key, told in self._pods.items() if told.pod.metadata.namespace not in touched}

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
    return replace(manifests, pods=of_waypoints, deployments=(), **_NEVER_TOLD)


def _by_concern(others: Manifests, options: AmbientOptions) -> Mapping[str, Sequence[KubernetesObject]]:
    """Objects by the namespace whose pods they concern."""
    found: dict[str, list[KubernetesObject]] = defaultdict(list)
    for one in others.all():
        namespace = one.metadata.namespace
        is_local = isinstance(one, _OF_THEIR_NAMESPACE) and namespace != options.mesh.root_namespace
        found[namespace if is_local else _EVERYBODY].append(one)
    return found


def _alike(
    ours: Sequence[KubernetesObject],
    theirs: Sequence[KubernetesObject],
    has_place: Callable[[KubernetesObject, KubernetesObject], bool],
) -> bool:
    return len(ours) == len(theirs) and all(
        one is other or (one == other and has_place(one, other)) for one, other in zip(ours, theirs, strict=True)
    )


def _is_same(one: KubernetesObject, other: KubernetesObject) -> bool:
    """Equal, and written at the same place down to each part of it, as remarks tell it."""
    return one == other and repr(one) == repr(other)


def _has_same_age(one: KubernetesObject, other: KubernetesObject) -> bool:
    return one.metadata.age == other.metadata.age
