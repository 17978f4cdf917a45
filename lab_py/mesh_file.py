"""The mesh as the proxies read it: a topology in ztunnel's LocalConfig form [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from hbone_py.identity import SpiffeId
from lab_py.redirect.names import HBONE_PORT
from lab_py.topology import Kind

if TYPE_CHECKING:
    from lab_py.topology import Pod, Service, Topology

TRUST_DOMAIN, NAMESPACE, CLUSTER = "cluster.local", "default", "Kubernetes"


def identity_of(pod: Pod) -> SpiffeId:
    """Whose certificate a pod's proxy shows: its service account is called as the pod is."""
    return SpiffeId(TRUST_DOMAIN, NAMESPACE, pod.name)


def uid_of(pod: str) -> str:
    """What names a pod in the mesh."""
    return f"{CLUSTER}//Pod/{NAMESPACE}/{pod}"


def hostname_of(service: Service) -> str:
    """A service's full name."""
    return f"{service.name}.{NAMESPACE}.svc.cluster.local"


def mesh_text(topology: Topology) -> str:
    """The text for `LOCAL_XDS_PATH` of every proxy."""
    mesh = {
        "workloads": [_workload(topology, pod) for pod in topology.pods],
        "services": [_service(service) for service in topology.services],
    }
    return yaml.safe_dump(mesh, sort_keys=False)


def hosts_text(topology: Topology) -> str:
    """The lines of /etc/hosts for everybody in the lab: services by their names."""
    names = [f"{one.vip} {one.name} {one.name}.{NAMESPACE} {hostname_of(one)}" for one in topology.services]
    return "".join(f"{line}\n" for line in ("127.0.0.1 localhost", *names))


def _workload(topology: Topology, pod: Pod) -> dict[str, Any]:
    found: dict[str, Any] = {
        "uid": uid_of(pod.name),
        "name": pod.name,
        "namespace": NAMESPACE,
        "serviceAccount": pod.name,
        "trustDomain": TRUST_DOMAIN,
        "clusterId": CLUSTER,
        "workloadName": pod.name,
        "workloadType": "deployment",
        "canonicalName": pod.name,
        "canonicalRevision": "v1",
        "node": pod.node.name,
        "workloadIps": [pod.ip],
        "protocol": "HBONE" if _takes_hbone(pod) else "TCP",
        "services": {
            f"{NAMESPACE}/{hostname_of(service)}": {service.port: service.target_port}
            for service in topology.services
            if pod.name in service.pods
        },
    }
    if pod.kind is Kind.SIDECAR:
        found["mutualTls"] = True
    if pod.kind is not Kind.AMBIENT:
        found["nativeTunnel"] = _takes_hbone(pod)
    if pod.waypoint is not None:
        waypoint = topology.pod(pod.waypoint)
        found["waypoint"] = {"destination": f"/{waypoint.ip}", "hboneMtlsPort": HBONE_PORT}
    return found


def _takes_hbone(pod: Pod) -> bool:
    return pod.takes_hbone or pod.kind in (Kind.AMBIENT, Kind.WAYPOINT)


def _service(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "namespace": NAMESPACE,
        "hostname": hostname_of(service),
        "vips": [f"/{service.vip}"],
        "ports": {service.port: service.target_port},
        "canonical": True,
    }
