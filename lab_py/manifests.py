"""The mesh as `istiod_py` reads it: a topology as Kubernetes manifests [pure].

Whose proxy a pod has is said as in a cluster: by the label for ambient, by the injector's, by a Gateway's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from lab_py.mesh_file import NAMESPACE
from lab_py.redirect.names import HBONE_PORT
from lab_py.topology import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab_py.topology import Pod, Service, Topology

AMBIENT_LABEL = "istio.io/dataplane-mode"
STRICT = f"""\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: {NAMESPACE}}}
spec: {{mtls: {{mode: STRICT}}}}
"""
"""Who has a proxy takes nothing that proves nobody."""
LABELS = {
    Kind.PLAIN: {AMBIENT_LABEL: "none", "sidecar.istio.io/inject": "false"},
    Kind.AMBIENT: {AMBIENT_LABEL: "ambient"},
    Kind.SIDECAR: {"sidecar.istio.io/inject": "true"},
    Kind.WAYPOINT: {AMBIENT_LABEL: "none", "networking.istio.io/tunnel": "http"},
}
"""What says of a pod who its proxy is."""


def read_kind(labels: Mapping[str, str]) -> Kind:
    """Whose proxy a pod has, from the labels that were written for it."""
    return next(kind for kind, told in LABELS.items() if told.items() <= labels.items())


def manifests_text(topology: Topology) -> str:
    """All of it, one document after the other."""
    return yaml.safe_dump_all(list(_documents(topology)), sort_keys=False)


def _documents(topology: Topology) -> Iterator[dict[str, Any]]:
    yield _object("v1", "Namespace", NAMESPACE, in_namespace=False)
    for node in topology.nodes:
        yield _object("v1", "Node", node.name, in_namespace=False)
    for pod in topology.pods:
        if pod.kind is Kind.WAYPOINT:
            yield _gateway(pod)
        yield _pod(topology, pod)
    for service in topology.services:
        yield _service(service)


def _pod(topology: Topology, pod: Pod) -> dict[str, Any]:
    labels = {"app": pod.name, "version": "v1", **LABELS[pod.kind]}
    labels |= {_selector(one): "true" for one in topology.services if pod.name in one.pods}
    if pod.takes_hbone:
        labels["networking.istio.io/tunnel"] = "http"
    if pod.kind is Kind.WAYPOINT:
        labels["gateway.networking.k8s.io/gateway-name"] = pod.name
    if pod.waypoint is not None:
        labels["istio.io/use-waypoint"] = pod.waypoint
    spec = {"serviceAccountName": pod.name, "nodeName": pod.node.name, "containers": [{"name": "app"}]}
    found = _object("v1", "Pod", pod.name, labels=labels, spec=spec)
    return {**found, "status": {"podIP": pod.ip, "phase": "Running"}}


def _selector(service: Service) -> str:
    """The label that makes a pod one of the service's, whatever other services it serves."""
    return f"serves-{service.name}"


def _service(service: Service) -> dict[str, Any]:
    ports = [{"name": "http", "port": service.port, "targetPort": service.target_port}]
    spec = {"clusterIP": service.vip, "selector": {_selector(service): "true"}, "ports": ports}
    return _object("v1", "Service", service.name, spec=spec)


def _gateway(pod: Pod) -> dict[str, Any]:
    """As its controller leaves it, with the pod's address in its status."""
    listener = {"name": "mesh", "port": HBONE_PORT, "protocol": "HBONE"}
    spec = {"gatewayClassName": "istio-waypoint", "listeners": [listener]}
    labels = {"istio.io/waypoint-for": "all"}
    found = _object("gateway.networking.k8s.io/v1", "Gateway", pod.name, labels=labels, spec=spec)
    return {**found, "status": {"addresses": [{"type": "IPAddress", "value": pod.ip}]}}


def _object(
    version: str,
    kind: str,
    name: str,
    *,
    in_namespace: bool = True,
    labels: dict[str, str] | None = None,
    spec: dict[str, Any] | None = None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, **({"namespace": NAMESPACE} if in_namespace else {})}
    found = {"apiVersion": version, "kind": kind, "metadata": metadata | ({"labels": labels} if labels else {})}
    return found if spec is None else {**found, "spec": spec}
