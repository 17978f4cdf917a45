"""The node's rules of Istio 1.18, in its own order (redirection a.2, a.3, d.4)."""

from __future__ import annotations

import pytest

from lab_py.builtin import load
from lab_py.redirect.base import ip_lines, rule_lines, set_lines
from lab_py.redirect.node_1_18 import node_redirection

TOPOLOGY = load("ambient-to-sidecar")
NODE = TOPOLOGY.node("node-a")
FOUND = node_redirection(NODE, TOPOLOGY.enrolled_on(NODE))
RULES = {rule.name: rule for rule in FOUND.rules}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("P1", "-i istioin ... MARK --set-mark 0x200/0x200"),
        ("P2", "-i istioin ... RETURN"),
        ("P3", "-i istioout ... MARK --set-mark 0x200/0x200"),
        ("P4", "-i istioout ... RETURN"),
        ("P5", "-p udp -m udp --dport 6081 ... RETURN"),
        ("P6", "-m connmark --mark 0x220/0x220 ... MARK --set-mark 0x200/0x200"),
        ("P7", "-m mark --mark 0x200/0x200 ... RETURN"),
        ("P8", "! -i v-zt -m connmark --mark 0x210/0x210 ... MARK --set-mark 0x40/0x40"),
        ("P9", "-m mark --mark 0x40/0x40 ... RETURN"),
        ("P10", "-i v-zt ! -s 10.244.1.2/32 ... MARK --set-mark 0x210/0x210"),
        ("P11", "-m mark --mark 0x200/0x200 ... RETURN"),
        ("P12", "-i v-zt ... MARK --set-mark 0x220/0x220"),
        ("P13", "-p udp ... MARK --set-mark 0x220/0x220"),
        ("P14", "-m mark --mark 0x200/0x200 ... RETURN"),
        ("P15", "-p tcp -m set --match-set ztunnel-pods-ips src ... MARK --set-mark 0x100/0x100"),
        ("F1", "-m mark --mark 0x220/0x220 ... CONNMARK --save-mark --nfmask 0x220 --ctmask 0x220"),
        ("I2", "-m mark --mark 0x210/0x210 ... CONNMARK --save-mark --nfmask 0x210 --ctmask 0x210"),
        ("O1", "-s 10.244.1.1/32 ... MARK --set-mark 0x220"),
        ("N1", "-m mark --mark 0x100/0x100 ... ACCEPT"),
        ("N2", "-m mark --mark 0x100/0x100 ... ACCEPT"),
    ],
)
def test_a_rule_is_istios(name: str, text: str) -> None:
    assert RULES[name].text == text.replace("...", f'-m comment --comment "{name}" -j')


def test_capture_is_in_order() -> None:
    lines = rule_lines(FOUND).splitlines()
    order = [line.split('"')[1] for line in lines if line.startswith("-A ztunnel-PREROUTING")]
    assert order == [*(f"P{number}" for number in range(1, 16)), "N1"]


def test_every_chain_is_hooked_at_the_head() -> None:
    heads = [line for line in rule_lines(FOUND).splitlines() if line.startswith("-I ")]
    assert [line.rpartition(" ")[2] for line in heads] == [
        *(f"ztunnel-{hook}" for hook in ("PREROUTING", "POSTROUTING", "INPUT", "OUTPUT", "FORWARD")),
        *(f"ztunnel-{hook}" for hook in ("PREROUTING", "POSTROUTING")),
    ]


def test_policy_routes() -> None:
    assert ip_lines(FOUND).splitlines() == [
        "route add table 101 10.244.1.2 dev v-zt scope link",
        "route add table 101 0.0.0.0/0 via 192.168.127.2 dev istioout",
        "route add table 102 10.244.1.2 dev v-zt scope link",
        "route add table 102 0.0.0.0/0 via 10.244.1.2 dev v-zt onlink",
        "route add table 100 10.244.1.2 dev v-zt scope link",
        "route add table 100 10.244.1.10/32 via 192.168.126.2 dev istioin src 10.244.1.1",
        "rule add priority 100 fwmark 0x200/0x200 goto 32766",
        "rule add priority 101 fwmark 0x100/0x100 lookup 101",
        "rule add priority 102 fwmark 0x40/0x40 lookup 102",
        "rule add priority 103 lookup 100",
    ]


def test_only_enrolled_pods_are_in_the_set() -> None:
    node_b = TOPOLOGY.node("node-b")
    there = node_redirection(node_b, TOPOLOGY.enrolled_on(node_b))
    assert set_lines(FOUND).splitlines()[1:] == ['add ztunnel-pods-ips 10.244.1.10 comment "sleep"']
    assert set_lines(there).splitlines() == ["create ztunnel-pods-ips hash:ip family inet comment"]


def test_sysctls() -> None:
    unchecked = {name.split(".")[3] for name, value in FOUND.sysctls.items() if name.endswith("rp_filter")}
    assert unchecked == {"all", "default", "v-zt", "istioin", "istioout", "v-sleep"}
    local = {name.split(".")[3] for name, value in FOUND.sysctls.items() if name.endswith("accept_local")}
    assert local == {"v-zt", "istioin", "istioout"}
