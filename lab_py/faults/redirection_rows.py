"""Faults of rules, routes, devices and settings on a request's path, and what each shows (redirection d.8) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.fabric import port_of
from lab_py.faults.base import DeviceDown, Fault, Pieces, Settings, SmallLink, TunnelsStopped
from lab_py.redirect.names import IN, OUT, POD_IN, POD_OUT, ZTUNNEL_DEVICE
from lab_py.topology import FABRIC, Design, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.topology import Node, Pod, Topology

SMALL_MTU = 600
"""What a link of the fabric takes when it is broken: a request passes, a handshake with certificates does not."""

_SILENCE = "connect succeeds, then silence: the ztunnel pod does not take what follows for its own"
_NO_ROUTE = "the client hears 'Network is unreachable'"
_OWED = "silent: it works, but every packet goes through the tunnel, not only the SYN"


def piece(namespace: str, name: str, shows: str = "", *, called: str = "") -> Fault:
    """A rule or route of a namespace is gone."""
    where = f"{namespace}/{name}"
    return Fault(called or name, Pieces(namespace, frozenset({name})), where, shows, where)


def on_the_way(topology: Topology) -> Iterator[Fault]:
    request = topology.request
    if request is None:
        return
    source = topology.pod(request.source)
    destination = topology.pod(topology.service(request.service).pods[0])
    is_today = topology.design is Design.IN_POD
    if source.kind is Kind.AMBIENT:
        yield from _out_today(source) if is_today else _out_as_in_1_18(source)
    if source.kind is Kind.SIDECAR:
        yield from _out_of_a_sidecar(source)
    if destination.kind is Kind.AMBIENT:
        yield from _in_today(destination) if is_today else _in_as_in_1_18(destination)
    if destination.kind is Kind.SIDECAR and not destination.takes_hbone:
        shows = "the application sees the caller instead of its sidecar: nothing is judged"
        yield piece(destination.name, "B-IN-REDIRECT", shows)
    yield _small_link(source.node)


def _out_as_in_1_18(pod: Pod) -> Iterator[Fault]:
    node, ztunnel = pod.node.name, pod.node.ztunnel
    yield piece(node, "P15", "silent: nothing is captured, and kube-proxy sends it on, as nobody's")
    yield piece(node, "N1", "silent: the answer comes, but ztunnel was asked for the endpoint, not for the service")
    yield piece(node, "rule-101", f"marked, and routed like anything else: {_NO_ROUTE}")
    yield piece(node, "table-101", f"rule 101 leads nowhere: {_NO_ROUTE}")
    yield piece(ztunnel, "Z2", "the client waits: ztunnel's kernel has no listener for the address")
    yield from _at_ztunnel(pod, OUT, POD_OUT)


def _in_as_in_1_18(pod: Pod) -> Iterator[Fault]:
    node, ztunnel = pod.node.name, pod.node.ztunnel
    yield piece(node, "rule-103", "nothing comes to ztunnel: the pod itself refuses the tunnel")
    yield piece(node, f"table-100-{pod.name}", "the same: rule 103 finds no route for the pod, and the main table does")
    yield piece(node, "rule-100", "ztunnel's own connection to the pod comes back to ztunnel")
    yield piece(ztunnel, "Z1", "the tunnel comes to 15006, as if it were plaintext")
    yield piece(node, "O1", "the node's health probe hangs; requests pass")
    yield from _at_ztunnel(pod, IN, POD_IN)


def _at_ztunnel(pod: Pod, device: str, pod_device: str) -> Iterator[Fault]:
    """What both directions need."""
    node, ztunnel = pod.node.name, pod.node.ztunnel
    yield piece(ztunnel, "rule-20000", "the client waits: what TPROXY has marked is not for us")
    yield piece(ztunnel, "rule-20003", _SILENCE)
    yield piece(ztunnel, "Z4", _SILENCE)
    yield piece(node, "P10", "nobody knows what is owed to ztunnel: connect succeeds, then 'Network is unreachable'")
    yield piece(node, "F2", _OWED)
    yield piece(node, "P8", _OWED)
    yield piece(node, "rule-102", "connect succeeds, then ICMP says 'network unreachable', and the client waits")
    yield piece(node, "table-102", "rule 102 leads nowhere: the same")
    yield Fault("tunnel", TunnelsStopped(), "the tunnels' ends", "the client waits; what is open goes on", "tunnel")
    yield _down(node, device)
    dropped = "the client waits, and IPReversePathFilter grows"
    yield _checked("rp-filter", node, ZTUNNEL_DEVICE, dropped)
    yield _checked("rp-filter-pod", node, pod.device, dropped)
    yield _checked("rp-filter-tunnel", ztunnel, pod_device, dropped)
    yield _checked("rp-filter-fabric", node, "eth0", "nothing: the way back is the way there", is_harmless=True)


def _out_of_a_sidecar(pod: Pod) -> Iterator[Fault]:
    yield piece(pod.name, "B10", "silent where kube-proxy is: nothing is captured; else a reset")
    yield piece(pod.name, "B-REDIRECT", "the same: the chain is there, and does nothing")


def _out_today(pod: Pod) -> Iterator[Fault]:
    yield piece(pod.name, "C8", "silent: nothing is captured, and kube-proxy sends it on, as nobody's")
    yield piece(pod.name, "C-NAT-OUTPUT", "the same: nothing leads to the rules of the chain")


def _in_today(pod: Pod) -> Iterator[Fault]:
    lost = "the client waits: the application's answer leaves the pod, for a caller who never asked"
    yield piece(pod.name, "C1", lost)
    yield piece(pod.name, "C2", lost)
    yield piece(pod.name, "rule-32764", lost)
    yield piece(pod.name, "inpod-table-100", lost)
    yield piece(pod.node.name, "C-PROBE", "the node's health probe is taken for a call in the clear; requests pass")


def _down(namespace: str, device: str) -> Fault:
    where = f"{namespace}/{device}"
    return Fault("device", DeviceDown(namespace, device), where, "its routes are gone with it", where)


def _checked(name: str, namespace: str, device: str, shows: str, *, is_harmless: bool = False) -> Fault:
    values = {f"net.ipv4.conf.{device}.rp_filter": "1"}
    what = f"{namespace}/{device}.rp_filter"
    return Fault(name, Settings(namespace, values), what, shows, f"{namespace}/{device}.rp_filter", is_harmless)


def _small_link(node: Node) -> Fault:
    shows = f"small packets pass, those over {SMALL_MTU} bytes do not, and nobody says so: the client waits"
    what = f"{node.name}'s wire"
    return Fault("mtu", SmallLink(node.name), what, shows, f"{FABRIC}/{port_of(node.name)}.mtu")
