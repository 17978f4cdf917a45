"""S1: an ambient pod on one node calls a pod with a sidecar on another, hops (1) to (8) (redirection 0, f) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.evidence.checks import CountsRule, Flow, Logs, Part, SeesPackets
from lab_py.hops.base import Hop
from lab_py.hops.parts import into_a_sidecar
from lab_py.mesh_file import hostname_of
from lab_py.redirect.names import HBONE_PORT, OUT, OUTBOUND_PORT, POD_OUT, VNI_OUT, ZTUNNEL_DEVICE

if TYPE_CHECKING:
    from lab_py.topology import Pod, Service


def hops(source: Pod, service: Service, destination: Pod) -> list[Hop]:
    """The path of a request from `source` to `service`, which `destination` serves."""
    return [
        *_to_the_tunnel(source, service),
        *_through_ztunnel(source, service, destination),
        *into_a_sidecar(7, source, destination),
    ]


def _to_the_tunnel(source: Pod, service: Service) -> list[Hop]:
    node = source.node
    flow = Flow(source=source.ip, destination=service.vip, port=service.port)
    outer = Flow(source=source.ip, destination=service.vip, port=service.port, vni=VNI_OUT)
    untouched = [CountsRule(node.name, f"K-{service.name}-{name}", "kube-proxy: DNAT", 0) for name in service.pods]
    return [
        Hop(
            "1",
            f"{source.name} calls {service.vip}:{service.port} through its eth0; nothing in the pod is changed",
            (SeesPackets(source.name, "eth0", flow, Part.SYN), SeesPackets(node.name, source.device, flow, Part.SYN)),
        ),
        Hop(
            "2",
            f"{node.name} marks it 0x100, for its source is in the set of ambient pods, and leaves the virtual address",
            (
                CountsRule(node.name, "P15", "mangle PREROUTING: source in ztunnel-pods-ips", 1),
                CountsRule(node.name, "N1", "nat PREROUTING: ACCEPT before kube-proxy", 1),
                *untouched,
            ),
        ),
        Hop(
            "3",
            f"rule 101 and table 101 route it into {OUT}; only the SYN goes this way",
            (
                SeesPackets(node.name, OUT, flow, Part.ONLY_SYN),
                SeesPackets(node.name, ZTUNNEL_DEVICE, outer, Part.ONLY_SYN),
            ),
        ),
    ]


def _through_ztunnel(source: Pod, service: Service, destination: Pod) -> list[Hop]:
    node, target = source.node, (destination.ip, HBONE_PORT if destination.takes_hbone else service.target_port)
    flow = Flow(source=source.ip, destination=service.vip, port=service.port)
    upstream = Flow(source=source.ip, destination=target[0], port=target[1])
    line = {
        "message": "connection complete",
        "direction": "outbound",
        "src.addr": f"{source.ip}:*",
        "src.workload": source.name,
        "dst.addr": f"{target[0]}:{target[1]}",
        "dst.service": hostname_of(service),
        "dst.hbone_addr": f"{destination.ip}:{service.target_port}" if destination.takes_hbone else None,
        "error": None,
    }
    return [
        Hop(
            "4",
            f"the SYN comes out of {POD_OUT} in the ztunnel pod",
            (SeesPackets(node.ztunnel, POD_OUT, flow, Part.ONLY_SYN),),
        ),
        Hop(
            "5",
            f"TPROXY gives it to {OUTBOUND_PORT}, whose socket has the virtual address; the rest comes by eth0",
            (
                CountsRule(node.ztunnel, "Z2", f"mangle: TPROXY to {OUTBOUND_PORT}", 1),
                CountsRule(node.ztunnel, "Z4", "mangle: what is for others is local here"),
                SeesPackets(node.ztunnel, "eth0", flow, Part.REST),
                Logs(node.ztunnel, line),
            ),
        ),
        Hop(
            "6",
            f"ztunnel connects to {target[0]}:{target[1]} with the address of {source.name}",
            (
                SeesPackets(node.ztunnel, "eth0", upstream),
                CountsRule(node.name, "P10", "mangle: from ztunnel with a borrowed address, 0x210"),
                CountsRule(node.name, "F2", "mangle FORWARD: conntrack remembers it"),
                SeesPackets(node.name, "eth0", upstream),
            ),
        ),
    ]
