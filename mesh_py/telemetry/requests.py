"""Requests, counted under Istio's names and logged in Istio's default format [pure].

https://istio.io/latest/docs/reference/config/metrics/ has the names and labels; a proxy that calls reports as `source`,
one that serves as `destination`.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.telemetry.instruments import Counter, Histogram
from mesh_py.telemetry.labels import FLAGS_INDEX, TRAFFIC_LABELS, traffic_label_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.telemetry.access_log import AccessLog
    from mesh_py.telemetry.facts import ConnectionFacts
    from mesh_py.telemetry.instruments import Cell
    from mesh_py.telemetry.metrics import Metrics

LABELS = (*TRAFFIC_LABELS, "response_code", "grpc_response_status")
_PROTOCOL_INDEX, _POLICY_INDEX = TRAFFIC_LABELS.index("request_protocol"), len(TRAFFIC_LABELS) - 1
_MILLISECONDS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000)
_BYTES = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000)
_KEPT = 4096


@dataclass(slots=True)
class RequestRecord:
    """One request that is over. Empty text is unknown."""

    facts: ConnectionFacts
    started: float
    """Seconds since the epoch."""
    method: str = ""
    path: str = ""
    protocol: str = "HTTP/1.1"
    status: int = 0
    """0: the client was gone before there was an answer."""
    flags: str = "-"
    """Envoy's response flags, such as UF; several with commas between."""
    details: str = "-"
    received: int = 0
    """Bytes of the request's body."""
    sent: int = 0
    """Bytes of the answer's body."""
    milliseconds: float = 0.0
    upstream_milliseconds: float | None = None
    """Until the upstream's head; None: it never answered."""
    forwarded_for: str = ""
    user_agent: str = ""
    request_id: str = ""
    authority: str = ""
    upstream_host: str = ""
    cluster: str = ""
    downstream_local: str = ""
    downstream_remote: str = ""
    server_name: str = ""
    route: str = ""
    is_grpc: bool = False
    grpc_status: str = ""


class RequestTelemetry:
    """Takes the records of one process. `write` gets lines where the access log wants them."""

    def __init__(
        self, metrics: Metrics, access: AccessLog, write: Callable[[str], None], *, json: bool = False
    ) -> None:
        self._access, self._write, self._is_json = access, write, json
        self._requests = metrics.register(Counter("istio_requests", "Requests", LABELS))
        self._duration = metrics.register(
            Histogram("istio_request_duration_milliseconds", "Duration of requests", LABELS, bounds=_MILLISECONDS)
        )
        self._request_bytes = metrics.register(
            Histogram("istio_request_bytes", "Size of request bodies", LABELS, bounds=_BYTES)
        )
        self._response_bytes = metrics.register(
            Histogram("istio_response_bytes", "Size of response bodies", LABELS, bounds=_BYTES)
        )
        self._kept: dict[tuple[ConnectionFacts, bool, str, int, str], _Cells] = {}

    def done(self, record: RequestRecord) -> None:
        """Count it and log it."""
        key = (record.facts, record.is_grpc, record.flags, record.status, record.grpc_status)
        cells = self._kept.get(key)
        if cells is None:
            cells = self._cells(record)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[key] = cells
        cells.requests[0] += 1
        for cell, bounds, value in (
            (cells.duration, _MILLISECONDS, record.milliseconds),
            (cells.request_bytes, _BYTES, record.received),
            (cells.response_bytes, _BYTES, record.sent),
        ):  # `observe`, three times a request
            cell[bisect_left(bounds, value)] += 1
            cell[-1] += value
        if self._access.wants_complete:
            self._write(_json_line(record) if self._is_json else _line(record))

    def _cells(self, record: RequestRecord) -> _Cells:
        base = _base_labels(record.facts, is_grpc=record.is_grpc)
        changed = (*base[:FLAGS_INDEX], record.flags, *base[FLAGS_INDEX + 1 :])
        labels = (*changed, str(record.status), record.grpc_status)
        instruments = (self._requests, self._duration, self._request_bytes, self._response_bytes)
        return _Cells(*(instrument.cell(labels) for instrument in instruments))


class _Cells(NamedTuple):
    """Where requests of one kind are counted."""

    requests: Cell
    duration: Cell
    request_bytes: Cell
    response_bytes: Cell


def _base_labels(facts: ConnectionFacts, *, is_grpc: bool) -> tuple[str, ...]:
    values = list(traffic_label_values(facts)[: len(TRAFFIC_LABELS)])
    values[_PROTOCOL_INDEX] = "grpc" if is_grpc else "http"
    # Only who serves knows how it was reached (Istio says unknown for the other).
    served = "mutual_tls" if facts.mutual_tls else "none"
    values[_POLICY_INDEX] = served if facts.reporter != "source" else "unknown"
    return tuple(values)


def _fields(record: RequestRecord) -> dict[str, str | int | None]:
    """In Istio's order, by the keys of its JSON form."""
    upstream = record.upstream_milliseconds
    return {
        "start_time": _time(record.started),
        "method": record.method,
        "path": record.path,
        "protocol": record.protocol,
        "response_code": record.status,
        "response_flags": record.flags,
        "response_code_details": record.details,
        "bytes_received": record.received,
        "bytes_sent": record.sent,
        "duration": round(record.milliseconds),
        "upstream_service_time": None if upstream is None else round(upstream),
        "x_forwarded_for": record.forwarded_for,
        "user_agent": record.user_agent,
        "request_id": record.request_id,
        "authority": record.authority,
        "upstream_host": record.upstream_host,
        "upstream_cluster": record.cluster,
        "downstream_local_address": record.downstream_local,
        "downstream_remote_address": record.downstream_remote,
        "requested_server_name": record.server_name,
        "route_name": record.route,
    }


def _json_line(record: RequestRecord) -> str:
    return json.dumps(_fields(record)) + "\n"


def _line(record: RequestRecord) -> str:
    """One f-string, looked at once: most have nothing in them that needs another form."""
    upstream = record.upstream_milliseconds
    line = (
        f'[{_time(record.started)}] "{record.method or "-"} {record.path or "-"} {record.protocol}"'
        f" {record.status} {record.flags} {record.details or '-'} {record.received} {record.sent}"
        f" {round(record.milliseconds)} {'-' if upstream is None else round(upstream)}"
        f' "{record.forwarded_for or "-"}" "{record.user_agent or "-"}" "{record.request_id or "-"}"'
        f' "{record.authority or "-"}" "{record.upstream_host or "-"}" {record.cluster or "-"}'
        f" {record.downstream_local or '-'} {record.downstream_remote or '-'} {record.server_name or '-'}"
        f" {record.route or '-'}"
    )
    if line.isprintable() and line.count('"') == _QUOTES and "\\" not in line:
        return line + "\n"
    return _escaped_line(record)


_QUOTES = 12
"""In a line that nobody has put one into."""


def _escaped_line(record: RequestRecord) -> str:
    upstream = record.upstream_milliseconds
    return (
        f'[{_time(record.started)}] "{_shown(record.method)} {_shown(record.path)} {record.protocol}"'
        f" {record.status} {record.flags} {_shown(record.details)} {record.received} {record.sent}"
        f" {round(record.milliseconds)} {'-' if upstream is None else round(upstream)}"
        f' "{_shown(record.forwarded_for)}" "{_shown(record.user_agent)}" "{_shown(record.request_id)}"'
        f' "{_shown(record.authority)}" "{record.upstream_host or "-"}" {_shown(record.cluster)}'
        f" {record.downstream_local or '-'} {record.downstream_remote or '-'} {_shown(record.server_name)}"
        f" {_shown(record.route)}\n"
    )


def _time(started: float) -> str:
    """As Envoy shows a time: UTC, milliseconds."""
    second = int(started)
    return f"{_second(second)}.{int((started - second) * 1000):03}Z"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


_ESCAPED = {ord(character): f"\\x{ord(character):02x}" for character in '"\\' + "".join(map(chr, range(32))) + "\x7f"}


def _shown(value: str) -> str:
    """As Envoy shows it: `-` for nothing, and no line or quote of a peer's making."""
    if value.isprintable() and '"' not in value and "\\" not in value:
        return value or "-"
    return value.translate(_ESCAPED)
