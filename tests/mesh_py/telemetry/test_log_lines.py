"""Lines are read back as they were written, whatever is in them."""

from __future__ import annotations

from mesh_py.telemetry.log_lines import connection_fields, request_fields


def test_the_fields_of_a_connection() -> None:
    line = 'T\tinfo\taccess\tconnection complete\tsrc.addr=[::1]:5 src.workload="a b" error="said \\"no\\"" n=3'
    assert connection_fields(line) == {
        "message": "connection complete", "src.addr": "[::1]:5", "src.workload": "a b", "error": 'said \\"no\\"',
        "n": "3",
    }  # fmt: skip


def test_the_fields_of_a_request() -> None:
    line = (
        '[2026-01-02T03:04:05.678Z] "GET /a?b=c HTTP/2" 503 UF,URX a_detail - "no TLS" 1 2 3 - "-" "agent \\x22" "id"'
        ' "host:80" "127.0.0.1:8080" outbound|80||a.b 10.0.0.2:7 10.0.0.1:80 127.0.0.1:5 - a/route/0'
    )
    found = request_fields(line)
    assert (found["method"], found["path"], found["protocol"]) == ("GET", "/a?b=c", "HTTP/2")
    assert (found["response_code"], found["response_flags"], found["route_name"]) == (
        "503",
        "UF,URX",
        "a/route/0",
    )
    assert (found["user_agent"], found["upstream_service_time"]) == ("agent \\x22", "-")


def test_other_lines_have_none() -> None:
    for line in ("", "a line", "T\tinfo\tapp\tready\ta=1", '[T] "GET / HTTP/1.1" 200', '[T] "GET /"' + " 1" * 17):
        assert (connection_fields(line), request_fields(line)) == ({}, {})
