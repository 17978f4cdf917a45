"""One run on the page."""

from __future__ import annotations

from lab_py.page.pane import design_name, pane
from tests.lab_py.page.runs import run, todays


def test_a_hop_has_its_packets_rules_and_identities() -> None:
    first, second = "".join(pane(run(), {})).split("<article ")[1:]
    assert first.count("10.96.0.10:80 [S]") == 1, "the packet that bears it out, and not the other"
    assert "-t mangle -A ztunnel-PREROUTING -j MARK" in first
    assert "spiffe://cluster.local/ns/default/sa/sleep" in second


def test_it_says_which_design_and_what_came_of_it() -> None:
    text = "".join(pane(run(), {}))
    assert 'data-design="1.18" aria-label="Istio 1.18"' in text
    assert "not observed as predicted: (2)</strong> <span>tunnels by tap; first request judged after 1.5 s" in text
    assert design_name(todays()) == "Today"


def test_a_hop_names_those_of_the_other_design() -> None:
    text = "".join(pane(run(), {"2": ["4", "5"]}))
    assert 'data-hop="2" data-with="4 5"' in text
    assert text.count("Today, in its place:") == 1
    assert 'data-other="5"' in text
