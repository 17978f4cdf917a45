"""Requests, counted under Istio's names and logged in Istio's default format [pure].

https://istio.io/latest/docs/reference/config/metrics/ has the names and labels; a proxy that calls reports as `source`,
one that serves as `destination`.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

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

_Cells = tuple["Cell", "Cell", "Cell", "Cell"]
"""Where requests of one kind are counted: their number, durations, and bytes of bodies both ways."""


class RequestRecord:
    """One request: begun with what its head says, complete when it is over. Empty text is unknown.

    What has its usual value stands in the class: a record is made for every request.
    """

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
    upstream_failure: str = ""
    """Why there was no connection, where TLS is why."""
    upstream_host: str = ""
    upstream_local: str = ""
    """Our end of the connection that the request went out on; of a tunnel's, if it went through one."""
    cluster: str = ""
    server_name: str = ""
    route: str = ""
    grpc_status: str = ""

    def __init__(
        self,
        facts: ConnectionFacts,
        started: float,
        method: str = "",
        path: str = "",
        protocol: str = "HTTP/1.1",
        authority: str = "",
        user_agent: str = "",
        forwarded_for: str = "",
        request_id: str = "",
        downstream_remote: str = "",
        downstream_local: str = "",
        *,
        is_grpc: bool = False,
    ) -> None:
        """`started`: seconds since the epoch."""
        self.facts, self.started = facts, started
        self.method, self.path, self.protocol, self.authority = method, path, protocol, authority
        self.user_agent, self.forwarded_for, self.request_id = user_agent, forwarded_for, request_id
        self.downstream_remote, self.downstream_local = downstream_remote, downstream_local
        self.is_grpc = is_grpc


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
        requests, duration, received, sent = cells
        requests[0] += 1
        # `observe`, three times a request.
        duration[bisect_left(_MILLISECONDS, record.milliseconds)] += 1
        duration[-1] += record.milliseconds
        if record.received:
            received[bisect_left(_BYTES, record.received)] += 1
            received[-1] += record.received
        else:
            received[0] += 1
        sent[bisect_left(_BYTES, record.sent)] += 1
        sent[-1] += record.sent
        if self._access.wants_complete:
            self._write(_json_line(record) if self._is_json else _line(record))

    def _cells(self, record: RequestRecord) -> _Cells:
        base = _base_labels(record.facts, is_grpc=record.is_grpc)
        changed = (*base[:FLAGS_INDEX], record.flags, *base[FLAGS_INDEX + 1 :])
        labels = (*changed, str(record.status), record.grpc_status)
        instruments = (self._requests, self._duration, self._request_bytes, self._response_bytes)
        requests, duration, received, sent = [instrument.cell(labels) for instrument in instruments]
        return requests, duration, received, sent


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
        "connection_termination_details": None,
        "upstream_transport_failure_reason": record.upstream_failure or None,
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
        "upstream_local_address": record.upstream_local,
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
    ends = (
        record.authority,
        record.upstream_host,
        record.cluster,
        record.upstream_local,
        record.downstream_local,
        record.downstream_remote,
        record.server_name,
        record.route,
    )
    behind = _behind.get(ends) or _remember(ends)
    line = (
        f'[{_time(record.started)}] "{record.method or "-"} {record.path or "-"} {record.protocol}"'
        f' {record.status} {record.flags} {record.details or "-"} - "{record.upstream_failure or "-"}"'
        f" {record.received} {record.sent}"
        f" {round(record.milliseconds)} {'-' if upstream is None else round(upstream)}"
        f' "{record.forwarded_for or "-"}" "{record.user_agent or "-"}" "{record.request_id or "-"}"'
    )
    if behind and line.isprintable() and line.count('"') == _QUOTES and "\\" not in line:
        return line + behind
    return _escaped_line(record)


_QUOTES = 10
"""In a line that nobody has put one into, up to where it is the same for all requests of a connection."""

_Ends = tuple[str, str, str, str, str, str, str, str]
_behind: dict[_Ends, str] = {}


def _remember(ends: _Ends) -> str:
    """How the lines of all requests end that come and go this way; empty where something needs another form."""
    authority, upstream, cluster, ours, local, remote, server_name, route = [one or "-" for one in ends]
    text = f' "{authority}" "{upstream}" {cluster} {ours} {local} {remote} {server_name} {route}'
    if not text.isprintable() or text.count('"') != 4 or "\\" in text:
        return ""
    if len(_behind) >= _KEPT:
        _behind.clear()
    _behind[ends] = text = text + "\n"
    return text


def _escaped_line(record: RequestRecord) -> str:
    upstream = record.upstream_milliseconds
    return (
        f'[{_time(record.started)}] "{_shown(record.method)} {_shown(record.path)} {record.protocol}"'
        f' {record.status} {record.flags} {_shown(record.details)} - "{_shown(record.upstream_failure)}"'
        f" {record.received} {record.sent}"
        f" {round(record.milliseconds)} {'-' if upstream is None else round(upstream)}"
        f' "{_shown(record.forwarded_for)}" "{_shown(record.user_agent)}" "{_shown(record.request_id)}"'
        f' "{_shown(record.authority)}" "{record.upstream_host or "-"}" {_shown(record.cluster)}'
        f" {record.upstream_local or '-'} {record.downstream_local or '-'} {record.downstream_remote or '-'}"
        f" {_shown(record.server_name)} {_shown(record.route)}\n"
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
