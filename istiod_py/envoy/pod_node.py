"""Which Envoy a pod of the manifests would run: read off its labels [pure]."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hbone_py.address import is_loopback
from istiod_py.ambient.participation import speaks_hbone
from istiod_py.envoy.node import GATEWAY_LABEL, EnvoyNode, ProxyType
from mesh_py.manifests.gateway import Gateway

if TYPE_CHECKING:
    from mesh_py.manifests.core import Pod
    from mesh_py.manifests.objects import Manifests

LOOPBACK_HTTP_PROXY_PORT = 15007
"""Where nothing redirects, applications name their proxy: `curl -x`."""


def node_of_pod(pod: Pod, manifests: Manifests, dns_domain: str = "cluster.local") -> EnvoyNode:
    """The proxy of a pod that has an address.

    On a loopback address nothing redirects: there the proxy binds that address alone, takes PROXY preambles in front of
    captured connections, and serves explicit HTTP proxy requests.
    """
    kind = type_of_pod(pod, manifests)
    node = EnvoyNode(
        type=kind,
        ip=pod.ips[0],
        name=pod.metadata.name,
        namespace=pod.metadata.namespace,
        dns_domain=dns_domain,
        labels=pod.metadata.labels,
        service_account=pod.spec.service_account_name,
        listens_on_hbone=kind is ProxyType.SIDECAR and speaks_hbone(pod.metadata.labels),
    )
    if not is_loopback(node.ip):
        return node
    is_sidecar = kind is ProxyType.SIDECAR
    port = LOOPBACK_HTTP_PROXY_PORT if is_sidecar else None
    return replace(node, bind_address=node.ip, takes_proxy_protocol=is_sidecar, http_proxy_port=port)


def type_of_pod(pod: Pod, manifests: Manifests) -> ProxyType:
    """A pod that a Gateway is named on is a waypoint or a router, by the Gateway's class; any other has a sidecar."""
    name = pod.metadata.labels.get(GATEWAY_LABEL)
    if name is None:
        return ProxyType.SIDECAR
    gateway = manifests.find(Gateway, pod.metadata.namespace, name)
    is_waypoint = gateway is None or gateway.is_waypoint
    return ProxyType.WAYPOINT if is_waypoint else ProxyType.ROUTER
