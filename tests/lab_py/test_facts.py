"""What a run tells beside its findings."""

from __future__ import annotations

from lab_py.builtin import load
from lab_py.evidence.capture import Frame
from lab_py.evidence.checks import Finding
from lab_py.evidence.recording import in_order
from lab_py.facts import packet_facts, rule_facts, topology_facts
from lab_py.hops.base import Hop, HopFound
from tests.lab_py.evidence.test_packets import SYN

TOPOLOGY = load("ambient-to-sidecar")


def test_the_topology_with_its_addresses() -> None:
    facts = topology_facts(TOPOLOGY)
    assert facts["request"] == {"from": "sleep", "to": "httpbin", "pods": ["sleep", "httpbin"]}
    assert facts["nodes"][1] == {
        "name": "node-b", "address": "172.18.0.3", "pod_range": "10.244.2.0/24", "ztunnel": "zt-node-b",
        "ztunnel_ip": "10.244.2.2",
    }  # fmt: skip
    assert facts["pods"][0]["identity"] == "spiffe://cluster.local/ns/default/sa/sleep"


def test_the_rules_that_findings_name() -> None:
    finding = Finding("counter", "node-a N1", "1", "1", True)
    facts = rule_facts(TOPOLOGY, [HopFound(Hop("2", "", ()), (finding,))], by_uid=True)
    assert list(facts) == ["node-a N1"]
    assert '--comment "N1"' in facts["node-a N1"]


def test_packets_by_device_with_times_since_the_first() -> None:
    frames = {("pod", "eth0"): [Frame(1_000_000, SYN)], ("node", "v"): [Frame(3_500_000, SYN), Frame(4_000_000, b"")]}
    facts = packet_facts(in_order(frames, []))
    assert [(where, [one["ms"] for one in seen]) for where, seen in facts.items()] == [
        ("pod eth0", [0.0]),
        ("node v", [2.5]),
    ]
    assert packet_facts([]) == {}
