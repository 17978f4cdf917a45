"""The verdict of the demo: good evidence convinces, and every single thing that is off is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ztunnel_py.demo_judge import Evidence, judge
from ztunnel_py.world import HTTPBIN, SLEEP, World

WORLD = World()
IDENTITIES = f'src.identity="{SLEEP}" dst.addr=127.0.2.1:15008 dst.hbone_addr=127.0.2.1:8080 dst.identity="{HTTPBIN}"'
HEAD = "T\tinfo\taccess\tconnection complete\t"
SOURCE = f'{HEAD}src.addr=127.0.0.1:5 {IDENTITIES} direction="outbound" bytes_sent=9 bytes_recv=7'
DESTINATION = f'{HEAD}src.addr=127.0.1.1:6 {IDENTITIES} direction="inbound" bytes_sent=7 bytes_recv=9'
CALL = {"peer": "127.0.1.1:4711", "local": "127.0.2.1:8080"}
GOOD = Evidence(
    token="t0ken",
    status=200,
    body='{"X-Demo-Token": "t0ken"}',
    calls=[CALL],
    source_line=SOURCE,
    destination_line=DESTINATION,
    shown_identity=str(HTTPBIN),
    refuses_strangers=True,
    serials={"node-a": "11", "node-b": "22"},
    issued={"node-a": "11", "node-b": "22"},
)


def test_good_evidence_convinces() -> None:
    assert [finding.text for finding in judge(GOOD, WORLD) if not finding.is_so] == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param({"status": 503}, "the answer came back: status 503", id="status"),
        pytest.param({"body": "{}"}, "the token not in it", id="an answer to somebody else"),
        pytest.param({"calls": []}, "calls with the token: none; expected one from 127.0.1.1", id="nobody called"),
        pytest.param({"calls": [CALL, CALL]}, "from 127.0.1.1 at 127.0.2.1:8080, from 127.0.1.1", id="called twice"),
        pytest.param(
            {"calls": [CALL | {"peer": "127.0.0.1:4711"}]}, "from 127.0.0.1 at 127.0.2.1:8080", id="called directly"
        ),
        pytest.param({"source_line": ""}, "node-a logged no connection", id="node-a not involved"),
        pytest.param({"destination_line": ""}, "node-b logged no connection", id="node-b not involved"),
        pytest.param(
            {"source_line": SOURCE.replace("15008 dst.hbone_addr=127.0.2.1:8080", "8080")},
            "node-a logged dst.addr=127.0.2.1:8080, dst.hbone_addr=nothing",
            id="plain TCP",
        ),
        pytest.param(
            {"destination_line": DESTINATION.replace(f'src.identity="{SLEEP}" ', "")},
            "node-b logged src.identity=nothing",
            id="client without identity",
        ),
        pytest.param(
            {"destination_line": DESTINATION.replace("sa/sleep", "sa/other")},
            "node-b logged src.identity=spiffe://cluster.local/ns/default/sa/other",
            id="another client",
        ),
        pytest.param({"source_line": f'{SOURCE} error="reset"'}, "node-a logged error=reset", id="a failure"),
        pytest.param(
            {"destination_line": DESTINATION.replace("bytes_recv=9", "bytes_recv=8")},
            "node-a counted 9 bytes there and 7 back, node-b 8 and 7",
            id="bytes lost",
        ),
        pytest.param({"shown_identity": ""}, "127.0.2.1:15008 proves to be nothing", id="no TLS"),
        pytest.param({"shown_identity": str(SLEEP)}, f"proves to be {SLEEP}", id="another server"),
        pytest.param({"refuses_strangers": False}, "and answers who shows no certificate", id="open to strangers"),
        pytest.param(
            {"serials": {"node-a": "11", "node-b": "33"}}, "node-b holds certificate 33", id="another certificate"
        ),
        pytest.param({"serials": {}}, "node-a holds certificate none", id="no certificate"),
    ],
)
def test_whatever_is_off_is_found(change: dict[str, Any], found: str) -> None:
    wrong = [finding.text for finding in judge(replace(GOOD, **change), WORLD) if not finding.is_so]
    assert any(found in text for text in wrong), wrong


def test_no_evidence_proves_nothing() -> None:
    assert not any(finding.is_so for finding in judge(Evidence("t0ken"), WORLD) if "counted" not in finding.text)
    assert not judge(Evidence("t0ken"), WORLD)[4].is_so
