"""Devices and routes as lines: the order in which they run, and what redirection d.3 says of pods' devices."""

from __future__ import annotations

from lab_py.builtin import load
from lab_py.fabric import kernel_tunnel, links, packet_tunnel, tunnel_ends, tunnel_lines

TOPOLOGY = load("ambient-to-sidecar")
LINES = dict(links(TOPOLOGY))


def test_devices_are_made_before_they_are_used() -> None:
    assert list(LINES) == ["fabric", "node-a", "node-b", "zt-node-a", "zt-node-b", "sleep", "httpbin"]
    assert "link add f-node-a type veth peer name eth0 netns node-a" in LINES["fabric"]


def test_a_node_reaches_the_pods_of_others_and_its_own() -> None:
    assert LINES["node-a"] == [
        "link set lo up",
        "addr add 172.18.0.2/24 dev eth0",
        "link set eth0 up",
        "route add 10.244.2.0/24 via 172.18.0.3",
        "link add v-zt type veth peer name eth0 netns zt-node-a",
        "addr add 10.244.1.1/32 dev v-zt",
        "link set v-zt up",
        "route add 10.244.1.2/32 dev v-zt src 10.244.1.1",
        "link add v-sleep type veth peer name eth0 netns sleep",
        "addr add 10.244.1.1/32 dev v-sleep",
        "link set v-sleep up",
        "route add 10.244.1.10/32 dev v-sleep src 10.244.1.1",
    ]


def test_a_pod_reaches_everything_by_its_node() -> None:
    assert LINES["sleep"] == [
        "link set lo up",
        "addr add 10.244.1.10/32 dev eth0",
        "link set eth0 up",
        "route add 10.244.1.1/32 dev eth0 scope link",
        "route add default via 10.244.1.1 dev eth0 onlink",
    ]


def test_names_of_devices_are_short_enough_for_the_kernel() -> None:
    names = [line.split()[2] for lines in LINES.values() for line in lines if line.startswith("link add")]
    assert max(map(len, names)) <= 15


def test_the_ends_of_the_tunnels() -> None:
    node = TOPOLOGY.node("node-b")
    assert tunnel_ends(node) == {
        "node-b": [
            ("istioin", "192.168.126.1/30", 1000, "10.244.2.2"),
            ("istioout", "192.168.127.1/30", 1001, "10.244.2.2"),
        ],
        "zt-node-b": [
            ("pistioin", "192.168.126.2/30", 1000, "10.244.2.1"),
            ("pistioout", "192.168.127.2/30", 1001, "10.244.2.1"),
        ],
    }
    assert kernel_tunnel("istioin", 1000, "10.244.2.2") == "link add istioin type geneve id 1000 remote 10.244.2.2"
    assert packet_tunnel("istioin", "istioin-g") == "link add istioin type veth peer name istioin-g"
    assert tunnel_lines("istioin", "192.168.126.1/30")[1] == "link set istioin mtu 1450 up"
