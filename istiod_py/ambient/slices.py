"""Addresses of EndpointSlices that stand for no pod, as workloads (hbone-controlplane 1.5) [pure].

Nothing is known about who is there: no identity, no policies, and the address may be anybody's, so it is never found by
IP (the network mode of a host says so).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.model.address import parse_ip
from mesh_py.model.workload import HealthStatus, NetworkMode, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.ambient.context import Context
    from istiod_py.ambient.services import ServiceFacts
    from istiod_py.ambient.surroundings import Surroundings
    from mesh_py.manifests.core import EndpointSlice, SliceEndpoint
    from mesh_py.model.workload import Ports


def slice_workloads(slice_: EndpointSlice, context: Context, surroundings: Surroundings) -> Iterator[Workload]:
    """The endpoints of a slice that name no pod, once for each address."""
    facts = surroundings.service_of_slice(slice_.metadata.namespace, slice_.service_name)
    if facts is None or slice_.address_type == "FQDN":
        return
    ports = _ports(slice_, facts)
    seen: set[str] = set()
    for endpoint in slice_.endpoints:
        if not endpoint.pod and endpoint.addresses and endpoint.addresses[0] not in seen:
            seen.add(endpoint.addresses[0])
            yield _workload(slice_, endpoint, facts, ports, context)


def _ports(slice_: EndpointSlice, facts: ServiceFacts) -> Ports:
    """Service port to the slice's port of the same name."""
    by_name = {port.name: port.port for port in slice_.ports if port.protocol == "TCP"}
    return {port.number: by_name[port.name] for port in facts.ports if port.name in by_name}


def _workload(
    slice_: EndpointSlice, endpoint: SliceEndpoint, facts: ServiceFacts, ports: Ports, context: Context
) -> Workload:
    metadata, cluster_id = slice_.metadata, context.mesh.cluster_id
    address = endpoint.addresses[0]
    return Workload(
        uid=f"{cluster_id}/discovery.k8s.io/EndpointSlice/{metadata.namespace}/{metadata.name}/{address}",
        name=metadata.name,
        namespace=metadata.namespace,
        workload_ips=tuple(parse_ip(text) for text in endpoint.addresses),
        network=context.mesh.network,
        network_mode=NetworkMode.HOST_NETWORK,
        trust_domain=context.mesh.trust_domain,
        cluster_id=cluster_id,
        services={facts.service.key: ports},
        status=HealthStatus.HEALTHY if endpoint.ready else HealthStatus.UNHEALTHY,
    )
