"""How a service spreads its connections, by what its author wrote (hbone-controlplane 1.6) [pure]."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from istiod_py.ambient.vocabulary import TRAFFIC_DISTRIBUTION
from mesh_py.manifests.networking import Resolution
from mesh_py.model.workload import HealthPolicy, LoadBalancer, LoadBalancerMode, LoadBalancerScope

if TYPE_CHECKING:
    from mesh_py.manifests.core import Service
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.networking import ServiceEntry

_NEAREST = (LoadBalancerScope.NETWORK, LoadBalancerScope.REGION, LoadBalancerScope.ZONE)
SAME_NODE_ONLY = LoadBalancer((LoadBalancerScope.NODE,), LoadBalancerMode.STRICT)
SAME_ZONE_FIRST = LoadBalancer(_NEAREST, LoadBalancerMode.FAILOVER)
SAME_NODE_FIRST = LoadBalancer(
    (*_NEAREST, LoadBalancerScope.SUBZONE, LoadBalancerScope.NODE), LoadBalancerMode.FAILOVER
)
PASSTHROUGH = LoadBalancer((), LoadBalancerMode.PASSTHROUGH, HealthPolicy.ALLOW_ALL)

_DISTRIBUTIONS = {
    "preferclose": SAME_ZONE_FIRST,
    "prefersamezone": SAME_ZONE_FIRST,
    "prefersamenode": SAME_NODE_FIRST,
}


def of_service(service: Service, namespace_annotations: Labels) -> LoadBalancer | None:
    """The rules of a Service; None for the plain spread over all that are healthy."""
    if service.internal_traffic_policy == "Local":
        balancer: LoadBalancer | None = SAME_NODE_ONLY
    else:
        word = service.traffic_distribution or _annotated(service.metadata.annotations, namespace_annotations)
        balancer = _DISTRIBUTIONS.get(word.lower())
    if service.publish_not_ready_addresses:
        return replace(balancer or LoadBalancer(), health_policy=HealthPolicy.ALLOW_ALL)
    return balancer


def of_service_entry(entry: ServiceEntry, namespace_annotations: Labels) -> LoadBalancer | None:
    """The rules of a ServiceEntry; without resolution connections keep the address they were made to."""
    if entry.resolution is Resolution.NONE:
        return PASSTHROUGH
    return _DISTRIBUTIONS.get(_annotated(entry.metadata.annotations, namespace_annotations).lower())


def _annotated(annotations: Labels, namespace_annotations: Labels) -> str:
    return annotations.get(TRAFFIC_DISTRIBUTION) or namespace_annotations.get(TRAFFIC_DISTRIBUTION, "")
