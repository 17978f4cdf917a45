"""Addresses and names as redirection d.3 has them."""

from __future__ import annotations

from lab_py.topology import Kind, Node, Pod, pod_address, service_address

NODE = Node("node-c", 3)


def test_a_node_and_its_ztunnel() -> None:
    assert (NODE.fabric_ip, NODE.pod_range, NODE.host_ip, NODE.ztunnel_ip) == (
        "172.18.0.4", "10.244.3.0/24", "10.244.3.1", "10.244.3.2",
    )  # fmt: skip
    assert NODE.ztunnel == "zt-node-c"


def test_addresses_of_pods_and_services_differ() -> None:
    pods = [pod_address(NODE, index) for index in range(24)]
    assert pods[:2] == ["10.244.3.10", "10.244.3.20"]
    assert len(set(pods)) == 24
    assert len({*pods, NODE.host_ip, NODE.ztunnel_ip}) == 26
    assert [service_address(index) for index in range(2)] == ["10.96.0.10", "10.96.0.20"]


def test_only_ambient_pods_are_captured_by_their_node() -> None:
    enrolled = {kind: Pod("p", NODE, kind, "10.244.3.10").is_enrolled for kind in Kind}
    assert [kind for kind, is_enrolled in enrolled.items() if is_enrolled] == [Kind.AMBIENT]
