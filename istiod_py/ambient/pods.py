"""Pods as workloads (hbone-controlplane 1.5, 1.6) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.ambient import port_maps
from istiod_py.ambient.participation import DataPlane, data_plane_of, has_tls_proxy, speaks_hbone
from istiod_py.ambient.vocabulary import CANONICAL_NAMES, CANONICAL_REVISIONS, NETWORK
from mesh_py.manifests.core import REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL
from mesh_py.model.workload import HealthStatus, Locality, NetworkMode, Protocol, Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from istiod_py.ambient.context import Context
    from istiod_py.ambient.services import ServiceFacts
    from istiod_py.ambient.surroundings import Surroundings
    from mesh_py.manifests.core import Pod
    from mesh_py.manifests.metadata import Labels
    from mesh_py.model.address import NamespacedHostname
    from mesh_py.model.workload import Ports

POD_TYPE = "pod"
"""Every workload is told to be one, whatever owns it."""


def pod_uid(cluster_id: str, pod: Pod) -> str:
    """The double slash tells a pod from everything else."""
    return f"{cluster_id}//Pod/{pod.metadata.namespace}/{pod.metadata.name}"


def is_told(pod: Pod) -> bool:
    """Whether the mesh hears of a pod: once it has an address, until it has ended."""
    return bool(pod.ips) and not pod.is_terminal


def pod_workload(pod: Pod, context: Context, surroundings: Surroundings) -> tuple[Workload, DataPlane]:
    """What node proxies are told about a pod, and which proxy it has."""
    metadata, mesh = pod.metadata, context.mesh
    around = surroundings.of(pod.kind, metadata, metadata.labels)
    data_plane = data_plane_of(pod, context.manifests.namespace_labels(metadata.namespace))
    native = speaks_hbone(metadata.labels)
    name = pod.workload.name
    canonical_name, canonical_revision = canonical(metadata.labels, name)
    network = metadata.labels.get(NETWORK, mesh.network)
    workload = Workload(
        uid=pod_uid(mesh.cluster_id, pod),
        name=metadata.name,
        namespace=metadata.namespace,
        workload_ips=pod.ips,
        network=network,
        protocol=Protocol.HBONE if native or data_plane is DataPlane.NODE else Protocol.TCP,
        network_mode=NetworkMode.HOST_NETWORK if pod.spec.host_network else NetworkMode.STANDARD,
        trust_domain=mesh.trust_domain,
        service_account=pod.spec.service_account_name,
        waypoint=around.waypoint.address if around.waypoint else None,
        network_gateway=context.gateway_of_network.get(network),
        node=pod.spec.node_name,
        workload_name=name,
        workload_type=POD_TYPE,
        canonical_name=canonical_name,
        canonical_revision=canonical_revision,
        cluster_id=mesh.cluster_id,
        locality=_locality(pod, context),
        native_tunnel=native,
        application_tunnel=around.application_tunnel,
        services=_served(pod, surroundings.services_of_pod(pod)),
        authorization_policies=around.policies,
        mutual_tls=has_tls_proxy(metadata.labels, data_plane)
        and surroundings.takes_mutual_tls(metadata.namespace, metadata.labels),
        status=HealthStatus.HEALTHY if pod.ready and not metadata.is_deleted else HealthStatus.UNHEALTHY,
    )
    return workload, data_plane


def canonical(labels: Labels, workload_name: str) -> tuple[str, str]:
    """Name and revision that telemetry groups by."""
    name = next((labels[key] for key in CANONICAL_NAMES if labels.get(key)), workload_name)
    revision = next((labels[key] for key in CANONICAL_REVISIONS if labels.get(key)), "latest")
    return name, revision


def _served(pod: Pod, services: Iterable[ServiceFacts]) -> Mapping[NamespacedHostname, Ports]:
    return {facts.service.key: port_maps.of_pod(facts, pod.spec.port_named) for facts in services}


def _locality(pod: Pod, context: Context) -> Locality:
    """Of its node, else what its own labels say (the cluster copies them to pods)."""
    node = context.nodes.get(pod.spec.node_name)
    if node is not None:
        return node.locality
    labels = pod.metadata.labels
    return Locality(labels.get(REGION_LABEL, ""), labels.get(ZONE_LABEL, ""), labels.get(SUBZONE_LABEL, ""))
