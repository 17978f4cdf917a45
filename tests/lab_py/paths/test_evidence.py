"""Lines and samples are found by what they are about."""

from __future__ import annotations

from lab_py.paths.evidence import find_line, samples
from lab_py.paths.plan import Counter
from tests.lab_py.paths.seen import ONE, WORLD, connection_line, request_line

OUTBOUND, INBOUND, _ = ONE.hops(WORLD.sidecar_httpbin)


def test_a_request_s_line_bears_its_token() -> None:
    lines = [
        ("sidecar-httpbin", request_line("t0ken-10")),
        ("other", request_line("t0ken-1")),
        ("sidecar-httpbin", mine := request_line("t0ken-1")),
    ]
    assert find_line(lines, INBOUND, "t0ken-1") == mine
    assert find_line(lines[:2], INBOUND, "t0ken-1") == ""


def test_a_connection_s_last_word_counts() -> None:
    opened = connection_line(OUTBOUND).replace("complete", "opened")
    complete = connection_line(OUTBOUND)
    lines = [("ztunnel-a", opened), ("ztunnel-a", complete), ("ztunnel-a", "T\tinfo\tapp\tshutting down\t")]
    assert find_line(lines, OUTBOUND, "any") == complete
    assert find_line([("ztunnel-a", complete.replace("outbound", "inbound"))], OUTBOUND, "any") == ""


def test_samples_bear_all_labels() -> None:
    text = '# HELP a\na{x="1",y="}"} 2.0\na{x="1"} 3\na_sum{x="1",y="}"} 4\nb 5\n'
    assert list(samples(text, Counter("p", "a", {"y": "}"}))) == [({"x": "1", "y": "}"}, 2)]
    assert [value for _, value in samples(text, Counter("p", "a", {"x": "1"}))] == [2, 3]
