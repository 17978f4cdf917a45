"""From all manifests to the whole mesh, in one go [pure].

Every state is built anew: what an object is told as depends on so many others (its namespace, waypoints, policies,
services) that keeping track would cost more care than time. `Mesh.sharing` then finds what stayed the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.ambient.notices import Notice
    from istiod_py.ambient.participation import DataPlane
    from mesh_py.manifests.objects import Manifests
    from mesh_py.model.workload import Workload

DEFAULTS = AmbientOptions()


def build(manifests: Manifests, options: AmbientOptions = DEFAULTS) -> Mesh:
    """What node proxies are told about these manifests. Never fails: what cannot be told is a notice."""
    context = Context(manifests, options)
    services, notices = all_services(context)
    policies = Policies(context)
    surroundings = Surroundings(context, services, policies)
    data_planes: dict[str, DataPlane] = {}
    workloads = {one.uid: one for one in _workloads(context, surroundings, data_planes, notices)}
    told_services = {str(facts.service.key): facts.service for facts in services}
    told_policies = dict(policies.by_key)
    notices += [*policies.notices, *surroundings.notices]
    notices += add_local_objects(
        manifests.local_configs, workloads, told_services, told_policies, context.mesh.trust_domain
    )
    by_place = sorted(dict.fromkeys(notices), key=lambda one: one.place)
    return Mesh(workloads, told_services, told_policies, data_planes, context.waypoints.by_key, tuple(by_place))


def _workloads(
    context: Context, surroundings: Surroundings, data_planes: dict[str, DataPlane], notices: list[Notice]
) -> Iterator[Workload]:
    """Every workload; what comes later under the same uid would win, and uids differ by kind, namespace and name."""
    for pod in filter(is_told, context.manifests.pods):
        workload, data_planes[workload.uid] = pod_workload(pod, context, surroundings)
        yield workload
    for entry in context.manifests.workload_entries:
        yield entry_workload(entry, context, surroundings)
    for service_entry in context.manifests.service_entries:
        yield from endpoint_workloads(service_entry, context, surroundings, notices)
    for slice_ in context.manifests.endpoint_slices:
        yield from slice_workloads(slice_, context, surroundings)
    for gateway in context.network_gateways:
        yield gateway.workload(context.mesh)
