"""One hop of a run, explained."""

from __future__ import annotations

import pytest

from lab_py.builtin import load
from lab_py.step import WIDTH, hop_lines
from tests.lab_py.page.runs import run

RUN = run()
TOPOLOGY = load("ambient-to-sidecar")


def shown(index: int, **changes: object) -> list[str]:
    hop = {**RUN["hops"][index], **changes}
    told = {**RUN, "hops": [hop if number == index else one for number, one in enumerate(RUN["hops"])]}
    return list(hop_lines(told, TOPOLOGY, index, lambda text, *_: text))


def test_a_hop_says_what_makes_it_and_what_was_observed() -> None:
    lines = shown(0)
    assert lines[0] == "hop (1) of 2: observed"
    assert "    node-1 P15: iptables -t mangle -A ztunnel-PREROUTING -j MARK" in lines
    assert "      without it: connections of ambient pods are not marked 0x100, so nothing captures them" in lines
    assert lines.index("  its packets") < next(index for index, line in enumerate(lines) if "0.100 ms" in line)


def test_what_was_not_observed_stands_beside_what_was_expected() -> None:
    lines = shown(1)
    assert lines[0] == "hop (2) of 2: NOT observed as predicted"
    assert any(line.startswith("    - log sidecar-httpbin") for line in lines)
    assert any("expected direction=inbound" in line for line in lines)


def test_routes_that_the_title_speaks_of_are_shown() -> None:
    finding = {"kind": "packet", "where": "node-a istioout", "expected": "", "observed": "1 packet", "ok": True}
    lines = shown(0, title="rule 101 and table 101 route it into istioout", findings=[finding])
    assert "    node-a: ip rule add priority 101 fwmark 0x100/0x100 lookup 101" in lines
    assert "    node-a: ip route add table 101 0.0.0.0/0 via 192.168.127.2 dev istioout" in lines


@pytest.mark.parametrize(
    ("observed", "line"),
    [
        ("src.identity=spiffe://c/ns/d/sa/sleep x=y", "the caller showed the certificate of spiffe://c/ns/d/sa/sleep"),
        ("dst.identity=spiffe://c/ns/d/sa/web", "it showed that of spiffe://c/ns/d/sa/web"),
        ("By=x;URI=spiffe://c/ns/d/sa/sleep;DNS=y", "it was told of spiffe://c/ns/d/sa/sleep"),
    ],
)
def test_who_is_known_by_tls(observed: str, line: str) -> None:
    finding = {"kind": "log", "where": "zt", "expected": "", "observed": observed, "ok": True}
    assert f"    zt: {line}" in shown(0, findings=[finding])


def test_lines_fit_a_terminal() -> None:
    finding = {"kind": "log", "where": "zt", "expected": "", "observed": "word " * 60, "ok": True}
    assert max(map(len, shown(0, findings=[finding], title="word " * 40))) <= WIDTH
