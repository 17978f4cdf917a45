"""What both directions do for a request: its id, its log line and its numbers, and an end whatever happens."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from hbone_py.errors import TlsError
from mesh_py.exchange.passage import Outcome
from mesh_py.http.errors import HttpError, NoHealthyEndpoint, UpstreamFailure
from mesh_py.model.errors import RouteError
from mesh_py.proxy.request_trace import RequestTrace
from mesh_py.telemetry.facts import ConnectionFacts
from mesh_py.telemetry.requests import RequestRecord

if TYPE_CHECKING:
    from hbone_py.errors import HboneError
    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.passage import Backend
    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.proxy.cluster import Pick
    from mesh_py.proxy.ways import Endpoint
    from mesh_py.telemetry.facts import Reporter
    from mesh_py.telemetry.requests import RequestTelemetry
    from mesh_py.tracing.tracer import Tracer

REQUEST_ID = "x-request-id"
_REPORTERS: tuple[Reporter, ...] = ("source", "destination", "waypoint")
_NOBODY = {reporter: ConnectionFacts(reporter, None, None) for reporter in _REPORTERS}
"""Until more is known."""


class Journal:
    """One request, from its head to its line in the log."""

    def __init__(
        self, telemetry: RequestTelemetry, reporter: Reporter, exchange: Exchange, client: str, local: str
    ) -> None:
        """`client` and `local`: the addresses of the connection, as the log shows them."""
        self.outcome: Outcome[Pick] = Outcome()
        self._telemetry, self._exchange = telemetry, exchange
        self._trace: RequestTrace | None = None
        self._begun = time.monotonic()
        request = exchange.request
        said = request.headers.firsts()
        self.record = RequestRecord(
            _NOBODY[reporter],
            time.time(),
            request.method,
            request.path,
            request.version,
            request.authority,
            said.get("user-agent") or "",
            said.get("x-forwarded-for") or "",
            _ensure_id(request, said.get(REQUEST_ID)),
            client,
            local,
            is_grpc=(said.get("content-type") or "").startswith("application/grpc"),
        )

    def join(self, tracer: Tracer, tunnel: str = "") -> None:
        """Record spans of it; `tunnel` is the `traceparent` of what brought it."""
        self._trace = RequestTrace(tracer, self._exchange.request, tunnel)

    def traced(self, backend: Backend[Pick]) -> Backend[Pick]:
        """The backend, its calls recorded if the request is."""
        return backend if self._trace is None else self._trace.around(backend)

    @property
    def upstream(self) -> Endpoint | None:
        """Where the last attempt went."""
        return None if self.outcome.target is None else self.outcome.target.endpoint

    def answered(self, response: HttpResponse) -> None:
        """The head of the answer is here."""
        record, answered = self.record, self.outcome.answered
        if record.is_grpc:
            record.grpc_status = response.headers.get("grpc-status") or ""
        waited = ((time.monotonic() if answered is None else answered) - self._begun) * 1000
        record.upstream_milliseconds = waited
        response.headers.set("x-envoy-upstream-service-time", str(round(waited)))

    def failed(self, error: HttpError) -> None:
        """It ends without the answer it should have."""
        record = self.record
        flags = list(dict.fromkeys([*self.outcome.flags, *([] if error.flag == "-" else [error.flag])]))
        record.flags = ",".join(flags) or "-"
        record.details = _details(error)
        if isinstance(error.__cause__, TlsError):
            record.upstream_failure = str(error.__cause__)

    def close(self) -> None:
        """Count it and log it."""
        exchange, record = self._exchange, self.record
        if exchange.error is not None and (record.flags, record.details) == ("-", "-"):
            self.failed(exchange.error)
        record.status = exchange.status
        record.received, record.sent = exchange.body.size, exchange.sent
        record.milliseconds = (time.monotonic() - self._begun) * 1000
        if record.is_grpc and not record.grpc_status and exchange.trailers is not None:
            record.grpc_status = exchange.trailers.get("grpc-status") or ""
        if record.details == "-" and exchange.is_answered:
            record.details = "via_upstream"
        if self.outcome.target is not None:
            record.upstream_host = self.outcome.target.shown
        if self.outcome.connection is not None:
            record.upstream_local = self.outcome.connection.local
        self._telemetry.done(record)
        if self._trace is not None:
            self._trace.close(record)


def as_http_error(error: HboneError) -> HttpError:
    """A failure below HTTP as the client of HTTP learns it."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, RouteError):
        return NoHealthyEndpoint(str(error))
    return UpstreamFailure(str(error))


def _ensure_id(request: HttpRequest, found: str | None) -> str:
    """The request's id: its own where it has a sensible one, else a new one."""
    if not found or len(found) > 256:
        found = _ids.new()
        request.headers.set(REQUEST_ID, found)
    return found


class _Ids:
    """Random UUIDs (RFC 9562 5.4), without a detour over a number, and without a system call for each."""

    def __init__(self) -> None:
        self._digits: list[str] = []

    def new(self) -> str:
        """One more."""
        if not self._digits:
            text = os.urandom(16 * _IDS_AT_ONCE).hex()
            self._digits = [text[start : start + 32] for start in range(0, len(text), 32)]
        return _uuid(self._digits.pop())


_IDS_AT_ONCE = 128
_ids = _Ids()
os.register_at_fork(after_in_child=_ids.__init__)  # type: ignore[misc]  # two processes share no ids


def _uuid(digits: str) -> str:
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _details(error: HttpError) -> str:
    """One word as Envoy has it: what happened, spaces replaced."""
    return "_".join(f"{type(error).__name__}{{{error}}}".split())
