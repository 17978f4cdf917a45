"""Who gets which redirection."""

from __future__ import annotations

import dataclasses

from lab_py.builtin import load
from lab_py.redirect.plan import redirections
from lab_py.topology import Design

TOPOLOGY = load("ambient-to-sidecar")


def test_nodes_ztunnels_and_pods_with_a_sidecar_have_rules() -> None:
    found = redirections(TOPOLOGY)
    assert [one.namespace for one in found] == ["node-a", "node-b", "zt-node-a", "zt-node-b", "httpbin"]
    node = found[0]
    assert node.sysctls["net.ipv4.ip_forward"] == "1"
    assert [rule.name for rule in node.rules][-1] == "K-httpbin-httpbin", "kube-proxy's come behind the hooks"


def test_today_the_pods_have_them() -> None:
    found = redirections(dataclasses.replace(TOPOLOGY, design=Design.IN_POD))
    assert [one.namespace for one in found] == ["node-a", "node-b", "sleep", "httpbin"]
    assert not any(rule.chain.startswith("ztunnel-") for one in found for rule in one.rules)


def test_one_rule_can_be_left_out_in_one_namespace_or_everywhere() -> None:
    here = redirections(TOPOLOGY, without=["node-a/P10"])
    everywhere = redirections(TOPOLOGY, without=["P10"])
    assert ["P10" in one.names for one in here[:2]] == [False, True]
    assert ["P10" in one.names for one in everywhere[:2]] == [False, False]


def test_names_are_unique_in_a_namespace() -> None:
    for one in redirections(TOPOLOGY):
        assert len(one.names) == len(one.rules) + len(one.steps), one.namespace
