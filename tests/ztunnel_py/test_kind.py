"""Connections of one kind: their counters and the text of their lines are found once, and stay right."""

from __future__ import annotations

from mesh_py.telemetry.access_log import AccessLog
from mesh_py.telemetry.connection_log import Ended, PlainLines
from mesh_py.telemetry.facts import ConnectionFacts, Party
from mesh_py.telemetry.traffic import Traffic
from ztunnel_py.kind import Kind


def kind(workload: str = "web") -> Kind:
    return Kind(ConnectionFacts("source", Party(workload=workload), None), ("10.0.0.3", 15008), "10.0.0.3:80")


def test_kinds_with_equal_labels_share_their_counters():
    traffic = Traffic()
    assert kind().series(traffic) is kind().series(traffic)


def test_counters_that_were_dropped_are_found_anew():
    traffic, web = Traffic(limit=8), kind()
    first = web.series(traffic)
    for number in range(100):
        traffic.open(kind(f"w{number}").facts).close()
    second = web.series(traffic)
    assert first is not second
    assert second in list(traffic)
    assert web.series(traffic) is second


def test_its_lines_name_both_ends():
    lines: list[str] = []
    access, web = AccessLog(lines.append, PlainLines(), lambda: 0.0), kind()
    for _ in range(2):
        access.complete("10.0.0.1:1", web.ends(access), Ended(1, 2, 3))
    assert lines[0] == lines[1]
    assert "src.addr=10.0.0.1:1 dst.addr=10.0.0.3:15008 dst.hbone_addr=10.0.0.3:80 " in lines[0]
