"""What `explain` says."""

from __future__ import annotations

from lab_py.evidence.checks import Finding
from lab_py.explain.differences import Difference
from lab_py.explain.explanation import WIDTH, as_lines, judge_scene
from lab_py.hops.base import Hop, HopFound
from tests.lab_py.explain.scenes import WHOLE, scene, seen

RULE = Difference(
    "node-a/rule-101", "node-a", "rule-101 is not there: " + "so " * 40, "ip rule in node-a", "ip rule add"
)
PROBES = Difference("node-a/O1", "node-a", "O1 is not there", "iptables-save", "iptables -I")
BROKEN = scene(
    seen(node_a__istioout=[], status=0, answer="Network is unreachable"),
    differences=[PROBES, RULE], refusals=["ICMP from 10.244.1.1", "ICMP from 10.244.1.1"],
)  # fmt: skip


def probe(is_so: bool) -> HopFound:
    return HopFound(Hop("probe", "node-a asks", ()), (Finding("call", "app", "status=200", "timed out", is_so),))


def test_a_healthy_lab_is_called_so() -> None:
    told = judge_scene(scene(probes=[probe(True)]))
    assert told["ok"]
    assert [hop["state"] for hop in told["hops"]] == ["ok"] * 4
    assert told["beside"] == []
    assert "healthy: every hop was observed" in list(as_lines(told, lambda text, *_: text))


def test_what_does_no_harm_is_named_beside() -> None:
    told = judge_scene(scene(differences=[PROBES]))
    assert told["ok"]
    assert told["beside"] == [{"what": "node-a/O1", "why": "O1 is not there"}]


def test_a_broken_hop_has_its_cause_its_evidence_and_advice() -> None:
    told = judge_scene(BROKEN)
    assert (told["ok"], told["hop"], told["culprit"]) == (False, "2", "node-a/rule-101")
    assert [hop["state"] for hop in told["hops"]] == ["ok", "broken", "behind"]
    caller, refusal, packet, found = told["evidence"]
    assert caller == "the caller: no answer, Network is unreachable"
    assert refusal == "ICMP from 10.244.1.1", "each once"
    assert packet.startswith("packet node-a istioout: nothing; expected")
    assert found == "ip rule in node-a"
    assert told["remedy"] == "in node-a: ip rule add"
    assert [one["what"] for one in told["beside"]] == ["node-a/O1"]


def test_a_probe_is_broken_by_what_only_probes_need() -> None:
    told = judge_scene(scene(WHOLE, differences=[PROBES], probes=[probe(False)]))
    assert (told["hop"], told["culprit"]) == ("probe", "node-a/O1")


def test_who_knows_nothing_says_so() -> None:
    told = judge_scene(scene(seen(node_a__istioout=[], node_a__v_zt=[], zt_node_a__pistioout=[])))
    assert (told["hop"], told["culprit"]) == ("2", None)
    assert "nothing that was looked at differs" in told["why"]


def test_lines_fit_a_terminal() -> None:
    lines = list(as_lines(judge_scene(BROKEN), lambda text, *_: text))
    assert max(map(len, lines)) <= WIDTH
    assert "NO (2) into the tunnel" in lines
    assert ".. (3) to ztunnel" in lines
    assert "broken at (2): node-a/rule-101" in lines
