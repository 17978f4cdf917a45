"""What a workload has from other objects: its waypoint, its policies, the services it stands behind [pure]."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from istiod_py.ambient.selection import Selectors
from mesh_py.manifests.security import MutualTls
from mesh_py.model.address import NamespacedHostname

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from istiod_py.ambient.context import Context
    from istiod_py.ambient.notices import Notice
    from istiod_py.ambient.policies import Policies
    from istiod_py.ambient.services import ServiceFacts
    from istiod_py.ambient.waypoints import Waypoint
    from mesh_py.manifests.core import Pod
    from mesh_py.manifests.metadata import Labels, Metadata
    from mesh_py.model.workload import ApplicationTunnel


class Around(NamedTuple):
    """What one workload has from others."""

    waypoint: Waypoint | None
    """The waypoint in front of the workload itself."""
    application_tunnel: ApplicationTunnel | None
    """How its node proxy hands connections over; for waypoints."""
    policies: tuple[str, ...]
    """Names of the selector policies that are for it."""


class Surroundings:
    """Finds what each workload has from others; collects what is wrong on the way."""

    def __init__(self, context: Context, services: Sequence[ServiceFacts], policies: Policies) -> None:
        self._context = context
        self._policies = policies
        self._notices: list[Notice] = []
        self.by_key: Mapping[NamespacedHostname, ServiceFacts] = {one.service.key: one for one in services}
        self._selecting = Selectors((one.metadata.namespace, one.selector, one) for one in services)
        self._by_slice = self._listed_in_slices()

    def of(
        self, kind: str, metadata: Metadata, labels: Labels, services: Iterable[ServiceFacts] | None = None
    ) -> Around:
        """What a workload with these labels has; `services` it stands behind, if not those that select it."""
        own = self._context.waypoints.instance(metadata)
        choice = self._context.waypoints.of_workload(kind, metadata, labels)
        if choice.problem is not None:
            self._notices.append(choice.problem)
        behind = self.selecting(metadata.namespace, labels) if services is None else services
        waypoints = [*choice.waypoints, *(waypoint for facts in behind for waypoint in facts.waypoints)]
        names = self._policies.listed_by(metadata.namespace, labels, waypoints)
        return Around(choice.waypoint, own.binding if own else None, names)

    def taken_notices(self) -> list[Notice]:
        """What was found to be wrong since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def takes_mutual_tls(self, namespace: str, labels: Labels) -> bool:
        """Whether a sidecar in front of a workload takes mutual TLS: unless PeerAuthentication switches it off."""
        return self._policies.peer_mode(namespace, labels) is not MutualTls.DISABLE

    def selecting(self, namespace: str, labels: Labels) -> tuple[ServiceFacts, ...]:
        """The services whose selectors select a workload."""
        return self._selecting.selecting(namespace, labels)

    def services_of_pod(self, pod: Pod) -> tuple[ServiceFacts, ...]:
        """The services a pod stands behind: by their selectors, and by EndpointSlices that name the pod."""
        metadata = pod.metadata
        selected = self.selecting(metadata.namespace, metadata.labels)
        listed = self._by_slice.get((metadata.namespace, metadata.name))
        return (*selected, *(one for one in listed if one not in selected)) if listed else selected

    def _listed_in_slices(self) -> Mapping[tuple[str, str], list[ServiceFacts]]:
        found: dict[tuple[str, str], list[ServiceFacts]] = defaultdict(list)
        for slice_ in self._context.manifests.endpoint_slices:
            facts = self.service_of_slice(slice_.metadata.namespace, slice_.service_name)
            for endpoint in slice_.endpoints if facts is not None else ():
                if endpoint.pod and facts is not None:
                    found[slice_.metadata.namespace, endpoint.pod].append(facts)
        return found

    def service_of_slice(self, namespace: str, name: str) -> ServiceFacts | None:
        """The Kubernetes Service that an EndpointSlice belongs to."""
        if not name:
            return None
        facts = self.by_key.get(NamespacedHostname(namespace, self._context.mesh.hostname(name, namespace)))
        return facts if facts is not None and facts.is_kubernetes else None
