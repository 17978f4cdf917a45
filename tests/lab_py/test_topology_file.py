"""Topologies from YAML: addresses, and a place for everything that is wrong."""

from __future__ import annotations

import pytest

from lab_py.topology import Design, Kind
from lab_py.topology_file import read_topology
from mesh_py.discovery.problems import ConfigError

TWO_NODES = """\
title: two nodes
nodes: [node-a, node-b]
pods:
- {name: sleep, node: node-a, kind: ambient}
- {name: httpbin, node: node-b, kind: sidecar, port: 8000}
services:
- {name: httpbin, port: 80, targetPort: 8000, pods: [httpbin]}
request: {from: sleep, to: httpbin, path: /headers}
"""


def test_everything_has_an_address_of_its_own() -> None:
    topology = read_topology(TWO_NODES, "two.yaml", "two")
    node_a, node_b = topology.nodes
    assert [node.fabric_ip for node in topology.nodes] == ["172.18.0.2", "172.18.0.3"]
    assert (node_a.host_ip, node_a.ztunnel_ip, node_a.pod_range) == ("10.244.1.1", "10.244.1.2", "10.244.1.0/24")
    assert {pod.name: pod.ip for pod in topology.pods} == {"sleep": "10.244.1.10", "httpbin": "10.244.2.20"}
    assert topology.service("httpbin").vip == "10.96.0.10"
    assert topology.pod("httpbin").node is node_b


def test_what_the_file_says_is_there() -> None:
    topology = read_topology(TWO_NODES, "two.yaml", "two")
    assert (topology.name, topology.title, topology.design) == ("two", "two nodes", Design.TUNNELS)
    assert topology.pod("sleep").kind is Kind.AMBIENT
    assert [pod.name for pod in topology.enrolled_on(topology.node("node-a"))] == ["sleep"]
    assert list(topology.enrolled_on(topology.node("node-b"))) == []
    service = topology.service("httpbin")
    assert (service.port, service.target_port) == (80, 8000)
    assert topology.request is not None
    assert (topology.request.source, topology.request.service, topology.request.path) == (
        "sleep", "httpbin", "/headers",
    )  # fmt: skip
    assert topology.namespaces == ("fabric", "node-a", "zt-node-a", "node-b", "zt-node-b", "sleep", "httpbin")


@pytest.mark.parametrize(
    ("wrong", "right", "complaint"),
    [
        pytest.param("kind: ambient", "kind: ambiend", "4:37: unknown value 'ambiend'; did you mean", id="kind"),
        pytest.param("node: node-a,", "node: node-z,", "4:23: there is no node 'node-z'; did you mean", id="node"),
        pytest.param("name: sleep", "name: httpbin", "5:3: two pods are called 'httpbin'; rename one", id="two pods"),
        pytest.param("name: sleep", "name: node-a", "4:3: 'node-a' is a node", id="pod called as a node"),
        pytest.param("name: sleep", "name: fabric", "4:10: 'fabric' cannot be a name here", id="reserved"),
        pytest.param("name: sleep", "name: zt-x", "4:10: 'zt-x' cannot be a name here", id="looks like a ztunnel"),
        pytest.param("name: sleep", "name: four-teen-chars", "4:10: 'four-teen-chars' cannot be a name", id="too long"),
        pytest.param("port: 8000}", "prt: 8000}", "5:48: unknown key 'prt' in a pod; did you mean 'port'?", id="key"),
        pytest.param("port: 8000}", "port: 70000}", "5:54: expected a whole number from 1 to 65535", id="port"),
        pytest.param("pods: [httpbin]", "pods: [http]", "7:54: there is no pod 'http'", id="pod of a service"),
        pytest.param("from: sleep", "from: slep", "8:17: there is no pod 'slep'; did you mean 'sleep'?", id="from"),
        pytest.param("to: httpbin", "to: x", "8:28: there is no service 'x'; known are httpbin", id="to"),
        pytest.param("port: 8000}", "port: 8000, waypoint: sleep}", "'sleep', which is none", id="no waypoint"),
        pytest.param("nodes: [node-a, node-b]\n", "", "1:1: the topology has no 'nodes'; add it", id="no nodes"),
    ],
)  # fmt: skip
def test_a_fault_has_a_place(wrong: str, right: str, complaint: str) -> None:
    assert TWO_NODES.count(wrong) >= 1
    with pytest.raises(ConfigError) as found:
        read_topology(TWO_NODES.replace(wrong, right, 1), "two.yaml", "two")
    assert complaint in str(found.value)


def test_all_faults_of_a_section_are_told_and_none_that_only_follow_from_them() -> None:
    text = TWO_NODES.replace("kind: ambient", "kind: x").replace("port: 8000}", "port: x}")
    with pytest.raises(ConfigError) as found:
        read_topology(text, "two.yaml", "two")
    assert [(problem.line, problem.column) for problem in found.value.problems] == [(4, 37), (5, 54)]
