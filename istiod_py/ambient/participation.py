"""Whose proxy a pod's traffic goes through: the node's, its own, or none [pure].

In a cluster two others decide this before istiod looks: the injector, which adds a sidecar to the pod, and the node
agent, which redirects the pod and writes the annotation `ambient.istio.io/redirection`. A folder of manifests has
neither, so their rules stand here; what they would have written counts where it is there already.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from istiod_py.ambient.vocabulary import (
    DATAPLANE_MODE,
    GATEWAY_NAME,
    INJECTION,
    REDIRECTION,
    REVISION,
    SIDECAR_INJECT,
    SIDECAR_STATUS,
    TLS_MODE,
    TUNNEL,
)

if TYPE_CHECKING:
    from mesh_py.manifests.core import Pod
    from mesh_py.manifests.metadata import Labels

SIDECAR_CONTAINER = "istio-proxy"
NEVER_INJECTED = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})


class DataPlane(Enum):
    """Which proxy serves a pod."""

    NODE = "ztunnel"
    SIDECAR = "sidecar"
    NONE = "none"


def data_plane_of(pod: Pod, namespace_labels: Labels) -> DataPlane:
    """Decide by annotations, then by labels of the pod and its namespace. A sidecar wins over ambient, as in Istio."""
    if pod.metadata.annotations.get(REDIRECTION) == "enabled":
        return DataPlane.NODE
    if has_sidecar(pod, namespace_labels):
        return DataPlane.SIDECAR
    return DataPlane.NODE if is_redirected(pod, namespace_labels) else DataPlane.NONE


def has_sidecar(pod: Pod, namespace_labels: Labels) -> bool:
    """Whether the pod has a sidecar, or the injector would give it one. A gateway's own proxy is none."""
    if GATEWAY_NAME in pod.metadata.labels:
        return False
    if SIDECAR_STATUS in pod.metadata.annotations:
        return True
    asked = pod.metadata.labels.get(SIDECAR_INJECT) or pod.metadata.annotations.get(SIDECAR_INJECT)
    if SIDECAR_CONTAINER in pod.spec.containers:
        return asked != "false"  # the container of a node proxy has this name, too
    if pod.spec.host_network or pod.metadata.namespace in NEVER_INJECTED:
        return False
    if asked is not None:
        return asked == "true"
    injection = namespace_labels.get(INJECTION)
    if injection is not None:
        return injection == "enabled"
    return REVISION in namespace_labels or REVISION in pod.metadata.labels


def is_redirected(pod: Pod, namespace_labels: Labels) -> bool:
    """Whether the node agent would bring the traffic of a pod without sidecar to the node's proxy.

    Gateways and waypoints, which Istio labels `none`, do not take part for their namespace's sake alone.
    """
    mode = pod.metadata.labels.get(DATAPLANE_MODE)
    if mode is None and GATEWAY_NAME not in pod.metadata.labels:
        mode = namespace_labels.get(DATAPLANE_MODE)
    opted_out = pod.metadata.annotations.get(REDIRECTION) == "disabled" or pod.spec.host_network
    return mode == "ambient" and not opted_out


def has_tls_proxy(labels: Labels, data_plane: DataPlane = DataPlane.NONE) -> bool:
    """Whether Istio's mutual TLS is spoken in front of a workload: by the injector's mark, else by its sidecar."""
    mark = labels.get(TLS_MODE)
    return data_plane is DataPlane.SIDECAR if mark is None else mark == "istio"


def speaks_hbone(labels: Labels) -> bool:
    """Whether the workload takes HBONE by itself: a sidecar that listens on 15008, a waypoint."""
    return "http" in (word.strip() for word in labels.get(TUNNEL, "").split(","))
