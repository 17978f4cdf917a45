"""Who records: the attributes that all spans of a process share, by OpenTelemetry's names and Istio's tags [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_py.model.workload import Workload
    from mesh_py.settings.kinds import WorkloadInfo


def of_proxy(info: WorkloadInfo, workload: Workload | None) -> dict[str, str]:
    """A proxy of one workload: `workload` as discovery knows it, None while it does not.

    `service.name` is the canonical service and its namespace, as Istio's proxies have it.
    """
    canonical = info.name if workload is None else workload.canonical_name or workload.name
    found = {
        "service.name": f"{canonical}.{info.namespace}",
        "service.instance.id": f"{info.name}.{info.namespace}",
        "k8s.namespace.name": info.namespace,
        "k8s.pod.name": info.name,
        "istio.namespace": info.namespace,
        "istio.canonical_service": canonical,
    }
    if workload is not None:
        found["istio.canonical_revision"] = workload.canonical_revision
        found["istio.cluster_id"] = workload.cluster_id
        found["istio.mesh_id"] = workload.trust_domain
    return {key: value for key, value in found.items() if value}


def of_node(node: str, cluster: str) -> dict[str, str]:
    """A node proxy."""
    found = {
        "service.name": "ztunnel",
        "service.instance.id": node,
        "k8s.node.name": node,
        "istio.cluster_id": cluster,
    }
    return {key: value for key, value in found.items() if value}
