"""Requests under Istio's names: labels, numbers, and a line that no peer can forge."""

from __future__ import annotations

import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mesh_py.telemetry.exposition import render
from mesh_py.telemetry.facts import ConnectionFacts, Party, ServiceFacts
from mesh_py.telemetry.logs import Logs
from mesh_py.telemetry.metrics import Metrics
from mesh_py.telemetry.requests import RequestRecord, RequestTelemetry

SLEEP, WEB = Party(name="sleep-1", workload="sleep", app="sleep"), Party(name="web-1", workload="web", app="web")
SERVICE = ServiceFacts("web.default.svc.cluster.local", "default", "web")


class Taken:
    def __init__(self, *, json: bool = False) -> None:
        self.lines: list[str] = []
        self.metrics = Metrics("test")
        logs = Logs(self, json=json)  # type: ignore[arg-type]
        self.telemetry = RequestTelemetry(self.metrics, logs.access, self.gather, json=json)

    def gather(self, line: str) -> None:
        self.lines.append(line)

    def samples(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        families = text_string_to_metric_families("".join(render(self.metrics.snapshot())))
        found = (sample for family in families for sample in family.samples if sample.name == name)
        return {tuple(sorted(sample.labels.items())): sample.value for sample in found}


def record(reporter: str = "destination", *, mutual_tls: bool = True, **more: object) -> RequestRecord:
    facts = ConnectionFacts(reporter, SLEEP, WEB, SERVICE, mutual_tls, "spiffe://x/ns/a/sa/b")  # type: ignore[arg-type]
    made = RequestRecord(facts, 1_700_000_000.5, "GET", "/a")
    for name, value in ({"status": 200} | more).items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("reporter", "mutual_tls", "policy"),
    [("destination", True, "mutual_tls"), ("destination", False, "none"), ("source", True, "unknown")],
)
def test_labels(reporter: str, mutual_tls: bool, policy: str) -> None:
    taken = Taken()
    taken.telemetry.done(record(reporter, mutual_tls=mutual_tls, flags="UF", is_grpc=True, grpc_status="14"))
    [(labels, value)] = taken.samples("istio_requests_total").items()
    expected = {
        "reporter": reporter,
        "source_workload": "sleep",
        "destination_workload": "web",
        "destination_service": SERVICE.hostname,
        "connection_security_policy": policy,
        "response_code": "200",
        "response_flags": "UF",
        "request_protocol": "grpc",
        "grpc_response_status": "14",
    }
    assert dict(labels).items() >= expected.items()
    assert value == 1


def test_numbers() -> None:
    taken = Taken()
    for size in (10, 1000):
        taken.telemetry.done(record(milliseconds=3.0, received=size, sent=2 * size))
    assert list(taken.samples("istio_requests_total").values()) == [2]
    assert list(taken.samples("istio_request_bytes_sum").values()) == [1010]
    assert list(taken.samples("istio_response_bytes_sum").values()) == [2020]
    assert list(taken.samples("istio_request_duration_milliseconds_sum").values()) == [6.0]


def test_a_line() -> None:
    taken = Taken()
    taken.telemetry.done(
        record(
            milliseconds=12.4,
            upstream_milliseconds=10.2,
            authority="web",
            user_agent="curl",
            request_id="id-1",
            upstream_host="10.0.0.2:80",
            upstream_local="10.0.0.2:6",
            upstream_failure="TLS says no",
            cluster="inbound|80||",
            downstream_local="10.0.0.2:80",
            downstream_remote="10.0.0.1:5",
            server_name="sni",
            route="default",
            received=1,
            sent=2,
        )
    )
    assert taken.lines == [
        '[2023-11-14T22:13:20.500Z] "GET /a HTTP/1.1" 200 - - - "TLS says no" 1 2 12 10 "-" "curl" "id-1" "web"'
        ' "10.0.0.2:80" inbound|80|| 10.0.0.2:6 10.0.0.2:80 10.0.0.1:5 sni default\n'
    ]


def test_nobody_forges_a_line() -> None:
    taken = Taken()
    taken.telemetry.done(record(user_agent='x"\n[2023] "GET /forged'))
    [line] = taken.lines
    assert line.count("\n") == 1
    assert '"x\\x22\\x0a[2023] \\x22GET /forged"' in line


@pytest.mark.parametrize("said", ['web" "x', "web\n[2023]", "web\\x22"])
def test_nor_its_end_which_many_lines_share(said: str) -> None:
    taken = Taken()
    for authority in ("web", said, said, "web"):
        taken.telemetry.done(record(authority=authority, cluster="c"))
    first, forged, again, last = taken.lines
    assert (first, forged) == (last, again)
    assert [line.count("\n") for line in taken.lines] == [1, 1, 1, 1]
    assert [line.count('"') for line in taken.lines] == [14, 14, 14, 14]


def test_as_json() -> None:
    taken = Taken(json=True)
    taken.telemetry.done(record(user_agent='a"b', upstream_milliseconds=None))
    told = json.loads(taken.lines[0])
    assert (told["user_agent"], told["response_code"], told["upstream_service_time"]) == ('a"b', 200, None)
