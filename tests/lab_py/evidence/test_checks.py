"""Claims and observations: what is enough, and what is not."""

from __future__ import annotations

import pytest

from lab_py.evidence.checks import Answered, CallerProved, CountsRule, Flow, Logs, Observed, Part, SeesPackets
from lab_py.evidence.packets import Packet

CLIENT, SERVER = ("10.0.0.1", 4000), ("10.0.0.2", 80)
SYN, ACK = Packet(CLIENT, SERVER, "S", 60), Packet(CLIENT, SERVER, ".", 52)
ANSWER = Packet(SERVER, CLIENT, "S.", 60)
INSIDE = SYN._replace(vni=1001)
FLOW = Flow("10.0.0.1", "10.0.0.2", port=80)


def seen(*packets: Packet) -> Observed:
    return Observed(packets={("pod", "eth0"): packets})


@pytest.mark.parametrize(
    ("part", "packets", "is_so"),
    [
        pytest.param(Part.ALL, [SYN, ACK], True, id="whole"),
        pytest.param(Part.ALL, [SYN], False, id="a SYN nobody answers is no conversation"),
        pytest.param(Part.ALL, [], False, id="nothing"),
        pytest.param(Part.SYN, [SYN], True, id="a SYN"),
        pytest.param(Part.ONLY_SYN, [SYN], True, id="only the SYN"),
        pytest.param(Part.ONLY_SYN, [SYN, ACK], False, id="not only the SYN"),
        pytest.param(Part.ONLY_SYN, [SYN, SYN], False, id="a SYN sent again"),
        pytest.param(Part.ONLY_SYN, [INSIDE], False, id="inside a tunnel is elsewhere"),
        pytest.param(Part.REST, [ACK], True, id="the rest"),
        pytest.param(Part.REST, [SYN, ACK], False, id="the rest, with its SYN"),
        pytest.param(Part.NOTHING, [], True, id="nothing, as it should be"),
        pytest.param(Part.NOTHING, [ACK], False, id="something that should not be"),
    ],
)
def test_packets(part: Part, packets: list[Packet], is_so: bool) -> None:
    assert SeesPackets("pod", "eth0", FLOW, part).judge(seen(*packets)).is_so is is_so


def test_an_answer_and_a_tunnel() -> None:
    assert SeesPackets("pod", "eth0", Flow(source="10.0.0.2"), Part.ANSWER).judge(seen(ANSWER)).is_so
    assert SeesPackets("pod", "eth0", Flow(vni=1001), Part.ONLY_SYN).judge(seen(INSIDE)).is_so
    assert not SeesPackets("pod", "eth0", Flow(vni=1000), Part.ONLY_SYN).judge(seen(INSIDE)).is_so


@pytest.mark.parametrize(
    ("exactly", "count", "is_so"),
    [(None, 3, True), (None, 0, False), (1, 1, True), (1, 2, False), (0, 0, True), (0, 1, False), (0, None, False)],
)
def test_counters(exactly: int | None, count: int | None, is_so: bool) -> None:
    """A rule that is not there has counted nothing, not even zero."""
    observed = Observed(counters={"node": {} if count is None else {"P1": count}})
    finding = CountsRule("node", "P1", "what it does", exactly).judge(observed)
    assert finding.is_so is is_so
    assert finding.observed == ("no such rule" if count is None else str(count))


@pytest.mark.parametrize(
    ("line", "is_so"),
    [
        pytest.param({"message": "done", "src": "10.0.0.1:4000"}, True, id="any port"),
        pytest.param({"message": "done", "src": "10.0.0.1:4000", "error": "x"}, False, id="with an error"),
        pytest.param({"message": "done", "src": "10.0.0.11:4000"}, False, id="another address that begins alike"),
        pytest.param({"message": "open", "src": "10.0.0.1:4000"}, False, id="another message"),
    ],
)
def test_logs(line: dict[str, str], is_so: bool) -> None:
    check = Logs("proxy", {"message": "done", "src": "10.0.0.1:*", "error": None})
    assert check.judge(Observed(logs={"proxy": [line]})).is_so is is_so


def test_one_line_must_say_all_of_it() -> None:
    check = Logs("proxy", {"a": "1", "b": "2"})
    finding = check.judge(Observed(logs={"proxy": [{"a": "1"}, {"b": "2"}]}))
    assert not finding.is_so
    assert finding.observed == "a=1 b=-"


CALL = {"peer": "10.0.0.1:4000"}


@pytest.mark.parametrize(
    ("calls", "status", "is_so"),
    [
        pytest.param([CALL], 200, True, id="answered"),
        pytest.param([CALL], 503, False, id="answered by somebody else"),
        pytest.param([], 200, False, id="answered, and the application knows of nothing"),
        pytest.param([CALL, CALL], 200, False, id="asked twice"),
        pytest.param([{"peer": "10.0.0.9:1"}], 200, False, id="asked by another"),
    ],
)
def test_calls(calls: list[dict[str, str]], status: int, is_so: bool) -> None:
    finding = Answered("app", {"peer": "10.0.0.1:*"}).judge(Observed(calls=calls, status=status))
    assert finding.is_so is is_so


@pytest.mark.parametrize(
    ("identity", "headers", "is_so"),
    [
        pytest.param("spiffe://a", {"x-forwarded-client-cert": "By=spiffe://b;URI=spiffe://a"}, True, id="proved"),
        pytest.param("spiffe://a", {"x-forwarded-client-cert": "By=spiffe://a;URI=spiffe://b"}, False, id="another"),
        pytest.param("spiffe://a", {}, False, id="nobody, where somebody should be"),
        pytest.param(None, {}, True, id="nobody"),
        pytest.param(None, {"x-forwarded-client-cert": "URI=spiffe://a"}, False, id="somebody, where nobody can be"),
    ],
)
def test_who_was_proved(identity: str | None, headers: dict[str, str], is_so: bool) -> None:
    observed = Observed(calls=[{**CALL, "headers": headers}], status=200)
    assert CallerProved("app", identity).judge(observed).is_so is is_so
