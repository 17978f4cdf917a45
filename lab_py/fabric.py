"""Devices, addresses and routes between nodes and pods, as lines for `ip -batch` (redirection d.3) [pure].

A namespace's lines may run once those of `links` before it have: the fabric's make the nodes' devices, the nodes' make
the pods'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.redirect.names import (
    IN,
    IN_IP,
    OUT,
    OUT_IP,
    POD_IN,
    POD_IN_IP,
    POD_OUT,
    POD_OUT_IP,
    TUNNEL_MTU,
    VNI_IN,
    VNI_OUT,
    ZTUNNEL_DEVICE,
)
from lab_py.topology import CONTROL_PLANE_IP, FABRIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.topology import Node, Topology

BRIDGE = "br0"
PACKET_HALF = "-g"
"""Ends the name of the half of a tunnel's pair of devices that we read and write."""
MTU = 1500
"""Of every device that is no tunnel."""


def port_of(node: str) -> str:
    """The bridge's port that leads to a node."""
    return f"f-{node}"


def links(topology: Topology) -> Iterator[tuple[str, list[str]]]:
    """(namespace, lines), in the order in which they must run."""
    yield FABRIC, _fabric(topology)
    for node in topology.nodes:
        yield node.name, list(_node(topology, node))
    for node in topology.nodes:
        yield node.ztunnel, _pod(node, node.ztunnel_ip)
    for pod in topology.pods:
        yield pod.name, _pod(pod.node, pod.ip)


def tunnel_ends(node: Node) -> dict[str, list[tuple[str, str, int, str]]]:
    """By namespace: device, address, VNI and the other side's address of each tunnel end of a node."""
    return {
        node.name: [(IN, f"{IN_IP}/30", VNI_IN, node.ztunnel_ip), (OUT, f"{OUT_IP}/30", VNI_OUT, node.ztunnel_ip)],
        node.ztunnel: [
            (POD_IN, f"{POD_IN_IP}/30", VNI_IN, node.host_ip),
            (POD_OUT, f"{POD_OUT_IP}/30", VNI_OUT, node.host_ip),
        ],
    }


def kernel_tunnel(device: str, vni: int, remote: str) -> str:
    """The line that makes a tunnel end where the kernel has the driver."""
    return f"link add {device} type geneve id {vni} remote {remote}"


def packet_tunnel(device: str, tap: str) -> str:
    """The line that makes a pair of devices in a tunnel end's place, whose other half `tap` we read and write."""
    return f"link add {device} type veth peer name {tap}"


def tunnel_lines(device: str, address: str) -> list[str]:
    """What a tunnel end needs once its device is there."""
    return [f"addr add {address} dev {device}", f"link set {device} mtu {TUNNEL_MTU} up"]


def _fabric(topology: Topology) -> list[str]:
    lines = ["link set lo up", f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up"]
    for node in topology.nodes:
        port = port_of(node.name)
        lines += [
            f"link add {port} type veth peer name eth0 netns {node.name}",
            f"link set {port} master {BRIDGE} up",
        ]
    lines.append(f"addr add {CONTROL_PLANE_IP}/24 dev {BRIDGE}")
    return lines + [f"route add {node.pod_range} via {node.fabric_ip}" for node in topology.nodes]


def _node(topology: Topology, node: Node) -> Iterator[str]:
    yield "link set lo up"
    yield f"addr add {node.fabric_ip}/24 dev eth0"
    yield "link set eth0 up"
    for other in topology.nodes:
        if other != node:
            yield f"route add {other.pod_range} via {other.fabric_ip}"
    yield from _pod_device(node, ZTUNNEL_DEVICE, node.ztunnel, node.ztunnel_ip)
    for pod in topology.pods_on(node):
        yield from _pod_device(node, pod.device, pod.name, pod.ip)


def _pod_device(node: Node, device: str, namespace: str, ip: str) -> list[str]:
    """The node's end, as kindnet makes it: it has HOST_IP, and the pod's address is reached by it."""
    return [
        f"link add {device} type veth peer name eth0 netns {namespace}",
        f"addr add {node.host_ip}/32 dev {device}",
        f"link set {device} up",
        f"route add {ip}/32 dev {device} src {node.host_ip}",
    ]


def _pod(node: Node, ip: str) -> list[str]:
    return [
        "link set lo up",
        f"addr add {ip}/32 dev eth0",
        "link set eth0 up",
        f"route add {node.host_ip}/32 dev eth0 scope link",
        f"route add default via {node.host_ip} dev eth0 onlink",
    ]
