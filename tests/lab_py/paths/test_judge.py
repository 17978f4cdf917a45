"""A path counts as gone only if every witness agrees; whatever is off is named with its hop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab_py.paths.judge import judge
from tests.lab_py.paths.seen import ONE, THREE, TWO, WORLD, connection_line, request_line, went_well

if TYPE_CHECKING:
    from lab_py.paths.plan import Path

SLEEP, WAYPOINT = "spiffe://cluster.local/ns/sidecar/sa/sleep", "spiffe://cluster.local/ns/ambient/sa/waypoint"
HELLO = "spiffe://cluster.local/ns/ambient/sa/helloworld"


@pytest.mark.parametrize("path", [ONE, TWO, THREE], ids=lambda path: f"path {path.number}")
def test_all_is_well(path: Path) -> None:
    found = judge(path, went_well(path))
    assert [finding.text for hop in found.hops for finding in hop.findings if not finding.is_so] == []
    assert (found.is_so, found.broken) == (True, "")


def test_both_identities_of_each_tunnel_are_what_was_proved() -> None:
    found = judge(THREE, went_well(THREE))
    assert [hop.identities for hop in found.hops] == [None, (SLEEP, WAYPOINT), (WAYPOINT, HELLO), None]


def test_versions_are_counted_by_the_applications() -> None:
    first, _, split, forced = judge(THREE, went_well(THREE)).findings
    assert first.text == "the answer is 200, with helloworld-v1 in it"
    assert split.text == "4 requests went to both versions by weight (75:25): helloworld-v1 2, helloworld-v2 2"
    assert forced.text == "1 of 1 requests with x-version: v2 went to helloworld-v2"


def test_no_line_is_told_with_what_the_proxy_before_said() -> None:
    seen = went_well(THREE)
    seen.lines = (("sidecar-sleep", request_line("t0ken-0", 503, "UF", "connect_failed")),)
    expected = "at hop (4): waypoint logged nothing of it; before it the answer was 503 UF connect_failed"
    assert judge(THREE, seen).broken == expected


def test_a_refusal_is_the_hop_s() -> None:
    seen = went_well(TWO)
    hop = TWO.hops(WORLD.ambient_httpbin)[1]
    seen.lines = (seen.lines[0], (hop.receiver, connection_line(hop, "policy rejection")))
    assert judge(TWO, seen).broken == "at hop (4)-(8): ztunnel-b logged an error: policy rejection"


def test_a_connection_refused_before_its_ends_were_known_is_found_too() -> None:
    seen = went_well(TWO)
    line = 'T\twarn\taccess\tconnection failed\tsrc.addr=1 dst.addr=127.9.2.3:15008 direction="inbound" error="no TLS"'
    seen.lines = (seen.lines[0], ("ztunnel-b", line))
    assert judge(TWO, seen).broken == "at hop (4)-(8): ztunnel-b logged an error: no TLS"


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (("", False), "127.9.2.1:15008 proves to be nobody, and does not refuse a stranger"),
        ((SLEEP, True), f"127.9.2.1:15008 proves to be {SLEEP}, and refuses a stranger"),
    ],
)
def test_another_s_certificate_is_noticed(shown: tuple[str, bool], text: str) -> None:
    seen = went_well(ONE)
    seen.shown["sidecar-httpbin"] = shown
    found = judge(ONE, seen)
    assert found.broken == f"at hop (6)(7): {text}"
    assert found.hops[1].identities == ("spiffe://cluster.local/ns/ambient/sa/sleep", shown[0])


def test_counters_must_agree() -> None:
    seen = went_well(THREE)
    seen.metrics["waypoint"] = seen.metrics["waypoint"].replace(" 5\n", " 4\n")
    assert judge(THREE, seen).broken == "at hop (4): sidecar-sleep counted 5 requests to it, waypoint 4 requests"


def test_plain_text_around_the_tunnel_is_no_proof() -> None:
    seen = went_well(TWO)
    seen.metrics["ztunnel-b"] = ""
    found = judge(TWO, seen)
    assert found.broken == "at hop (4)-(8): sidecar-sleep counted 1 request to it, ztunnel-b 0 tunnels"
    assert found.hops[1].identities == ("", "spiffe://cluster.local/ns/ambient/sa/httpbin")


def test_the_application_s_record_is_asked() -> None:
    seen = went_well(ONE)
    seen.calls["sidecar/httpbin"] = []
    expected = "at hop (8): the application of sidecar/httpbin recorded 0 calls with the token"
    assert judge(ONE, seen).broken == expected


def test_the_caller_s_address_and_name_are_looked_at() -> None:
    seen = went_well(ONE)
    [call] = seen.calls["sidecar/httpbin"]
    call |= {"peer": "127.0.0.1:9", "headers": {}}
    last = judge(ONE, seen).hops[-1]
    assert [finding.is_so for finding in last.findings] == [False, False]


def test_a_call_elsewhere_is_noticed() -> None:
    seen = went_well(ONE)
    seen.calls["ambient/httpbin"] = seen.calls["sidecar/httpbin"]
    assert judge(ONE, seen).broken == "calls with the token at any other application: ambient/httpbin: 1"


def test_no_answer_is_said_with_its_reason() -> None:
    seen = went_well(ONE)
    seen.first.status, seen.first.body = 0, "refused"
    assert judge(ONE, seen).broken == "there was no answer: refused"


@pytest.mark.parametrize("lost", ["ambient/helloworld-v1", "ambient/helloworld-v2"])
def test_one_version_alone_is_no_split(lost: str) -> None:
    seen = went_well(THREE)
    seen.calls[lost] = []
    assert not judge(THREE, seen).findings[2].is_so
