"""Traces of what goes wrong, and what each of them is taken for. Nothing here knows what was broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lab_py.explain.causes import causes
from lab_py.explain.differences import Difference
from lab_py.explain.scene import Ended
from tests.lab_py.explain.scenes import ACK, OUTER, SYN, WHOLE, scene, seen

if TYPE_CHECKING:
    from lab_py.evidence.checks import Observed

RULE = Difference("node-a/rule-101", "node-a", "rule-101 is not there", "ip rule in node-a", "ip rule add")
CHECKED = Difference("node-a/v-zt.rp_filter", "node-a", "v-zt.rp_filter is 1", "sysctl", "sysctl -w")
PROBES = Difference("node-a/O1", "node-a", "O1 is not there", "iptables-save", "iptables -I")
FAR = Difference("zt-node-a/Z4", "zt-node-a", "Z4 is not there", "iptables-save", "iptables -I")


def logged(**line: object) -> Observed:
    return seen(logs={"sidecar-httpbin": [line]})


@pytest.mark.parametrize(
    ("observed", "more", "culprit", "evidence"),
    [
        pytest.param(
            logged(response_code_details="AccessDenied{closed_due_to_policy_rejection:_explicitly_denied_by:_shop/no}"),
            {}, "policy shop/no", "log of sidecar-httpbin", id="a sidecar's policy",
        ),
        pytest.param(
            logged(error="connection closed due to policy rejection: explicitly denied by: default/no"),
            {}, "policy default/no", "explicitly denied by", id="ztunnel's policy",
        ),
        pytest.param(
            logged(response_code_details="rbac_access_denied_matched_policy[ns[shop]-policy[no]-rule[0]]"),
            {}, "policy shop/no", "matched policy", id="Envoy's form",
        ),
        pytest.param(
            logged(error="tls error: certificate verify failed"),
            {"bad_certificates": {"httpbin": "not signed by the authority that sleep trusts"}},
            "certificate httpbin", "certificate of httpbin: not signed", id="certificate",
        ),
        pytest.param(WHOLE, {"ended": [Ended("zt-node-a", "zt-node-a", -9, "ready")]}, "process zt-node-a",
                     "ended with signal 9; it said last: ready", id="process"),
        pytest.param(seen(node_a__v_zt=[], zt_node_a__pistioout=[]), {}, "tunnel", "nothing in Geneve 1001",
                     id="nothing leaves for the other end"),
        pytest.param(seen(node_a__v_zt=[OUTER], zt_node_a__pistioout=[]), {}, "tunnel", "1 packets in Geneve 1001",
                     id="the other end does not take it"),
        pytest.param(WHOLE, {"differences": [RULE]}, "node-a/rule-101", "ip rule in node-a", id="rule"),
        pytest.param(WHOLE, {"differences": [CHECKED], "drops": {"node-a": 2}}, "node-a/v-zt.rp_filter",
                     "IPReversePathFilter has grown by 2", id="reverse path"),
    ],
)  # fmt: skip
def test_a_trace_has_its_cause(observed: Observed, more: dict[str, Any], culprit: str, evidence: str) -> None:
    [cause] = causes(scene(observed, **more))
    assert cause.culprit == culprit
    assert any(evidence in line for line in cause.evidence)


@pytest.mark.parametrize(
    ("observed", "more"),
    [
        pytest.param(WHOLE, {}, id="all is well"),
        pytest.param(seen(node_a__istioout=[], zt_node_a__pistioout=[]), {}, id="a tunnel that gets nothing"),
        pytest.param(seen(node_a__istioout=[ACK], zt_node_a__pistioout=[]), {}, id="and no SYN"),
        pytest.param(WHOLE, {"differences": [CHECKED]}, id="a reverse path check that drops nothing"),
        pytest.param(WHOLE, {"bad_certificates": {"httpbin": "not signed"}}, id="a certificate nobody complains of"),
    ],
)
def test_what_proves_nothing_is_no_cause(observed: Observed, more: dict[str, Any]) -> None:
    assert causes(scene(observed, **more)) == []


def test_what_the_request_meets_first_is_named_first() -> None:
    found = causes(scene(differences=[PROBES, FAR, RULE], ended=[Ended("zt-node-a", "zt-node-a", 1, "")]))
    assert [one.culprit for one in found] == ["process zt-node-a", "node-a/rule-101", "zt-node-a/Z4", "node-a/O1"]


def test_a_small_link_is_shown_by_what_crosses_it() -> None:
    small = Difference("fabric/f-node-a.mtu", "fabric", "takes 600", "ip link", "ip link set")
    large = SYN._replace(flags=".", size=1500)
    [cause] = causes(scene(seen(node_a__eth0=[SYN, large, large], node_b__eth0=[SYN]), differences=[small]))
    assert "packet node-a eth0: 3, of 60 to 1500 bytes" in cause.evidence
    assert "packet node-b eth0: 1, of 60 to 60 bytes" in cause.evidence
