"""Who gets which redirection: a topology's namespaces, each with everything that is installed there [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.redirect.base import Redirection
from lab_py.redirect.inpod import host_redirection, pod_redirection
from lab_py.redirect.kube_proxy import service_redirection
from lab_py.redirect.node_1_18 import node_redirection
from lab_py.redirect.sidecar import sidecar_redirection
from lab_py.redirect.ztunnel_pod_1_18 import ztunnel_redirection
from lab_py.topology import Design, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lab_py.topology import Node, Pod, Topology

AT_BIRTH = {"net.ipv6.conf.default.disable_ipv6": "1"}
"""Of every namespace, before it has devices: IPv6's chatter would fill the tunnels (redirection d.6)."""


def redirections(topology: Topology, *, by_uid: bool = True, without: Collection[str] = ()) -> list[Redirection]:
    """Every namespace's, in the order in which they are installed: nodes, ztunnel pods, pods.

    Args:
        by_uid: sidecars are known by their uid, else by a mark.
        without: names of rules and steps to leave out, everywhere (`P10`) or in one namespace (`node-a/P10`).
    """
    found = [*_nodes(topology), *_ztunnels(topology), *_pods(topology, by_uid=by_uid)]
    return [one.without(_names_for(one.namespace, without)) for one in found]


def _names_for(namespace: str, without: Collection[str]) -> set[str]:
    return {name.removeprefix(f"{namespace}/") for name in without}


def _nodes(topology: Topology) -> Iterator[Redirection]:
    for node in topology.nodes:
        routed = Redirection(node.name, {"net.ipv4.ip_forward": "1"})
        yield routed.joined(_node(topology, node)).joined(service_redirection(topology, node.name))


def _node(topology: Topology, node: Node) -> Redirection:
    enrolled = tuple(topology.enrolled_on(node))
    if topology.design is Design.IN_POD:
        return host_redirection(node.name, {pod.ip: pod.name for pod in enrolled})
    return node_redirection(node, enrolled)


def _ztunnels(topology: Topology) -> Iterator[Redirection]:
    if topology.design is Design.TUNNELS:
        yield from map(ztunnel_redirection, topology.nodes)


def _pods(topology: Topology, *, by_uid: bool) -> Iterator[Redirection]:
    for pod in topology.pods:
        found = _pod(topology, pod, by_uid=by_uid)
        if found is not None:
            yield found


def _pod(topology: Topology, pod: Pod, *, by_uid: bool) -> Redirection | None:
    if pod.kind is Kind.SIDECAR:
        return sidecar_redirection(pod.name, by_uid=by_uid)
    if pod.is_enrolled and topology.design is Design.IN_POD:
        return pod_redirection(pod.name)
    return None
