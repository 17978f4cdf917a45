"""The spans of one request: the one it is served by, and one for each attempt to have it answered elsewhere.

An attempt's span begins before there is a connection, so that a tunnel that is dialled for it tells that span, as the
request itself does: whoever stands behind either joins there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.proxy.ways import Hbone, Plain
from mesh_py.tracing.attributes import failure_of, method_name, of_address, of_method, of_request, of_workload
from mesh_py.tracing.trace_context import TRACEPARENT, TRACESTATE, parse_traceparent

if TYPE_CHECKING:
    from mesh_py.exchange.passage import Backend
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.http.messages import HttpRequest
    from mesh_py.proxy.cluster import Pick
    from mesh_py.proxy.ways import Endpoint
    from mesh_py.telemetry.requests import RequestRecord
    from mesh_py.tracing.span import Attributes, Span
    from mesh_py.tracing.tracer import Tracer

OTHER = "_OTHER"
"""Why a call failed, where nobody says it (OpenTelemetry's word)."""


class RequestTrace:
    """From a request's head to its end. The request tells whoever is next where it belongs, recorded or not."""

    def __init__(self, tracer: Tracer, request: HttpRequest, tunnel: str = "") -> None:
        """`tunnel`: the `traceparent` of the CONNECT that brought it, for requests that bring none."""
        self._tracer, self._request = tracer, request
        self._attempts: list[Span] = []
        self._served: Span | None = None
        own = parse_traceparent(request.headers.get(TRACEPARENT))
        context, parent = tracer.enter(own, None if own else parse_traceparent(tunnel))
        if context.sampled:
            state = request.headers.get(TRACESTATE) or ""
            self._served = tracer.begin(method_name(request.method), "server", context, parent, state)
        onward = context if context.sampled or parent is None else parent
        if onward is not own:
            request.headers.set(TRACEPARENT, onward.header)

    def around(self, backend: Backend[Pick]) -> Backend[Pick]:
        """The same backend, its calls recorded if the request is."""
        return backend if self._served is None else TracedBackend(backend, self)

    def attempt(self, target: Pick) -> None:
        """One more call begins."""
        assert self._served is not None, "only recorded requests have spans"
        request, served = self._request, self._served
        context = self._tracer.child(served.context)
        span = self._tracer.begin(served.name, "client", context, served.context, served.state)
        span.attributes |= of_method(request.method) | _of_endpoint(target.endpoint)
        if self._attempts:
            span.attributes["http.request.resend_count"] = len(self._attempts)
        self._attempts.append(span)
        request.headers.set(TRACEPARENT, context.header)

    def attempted(self, status: int | None) -> None:
        """It is over: how it was answered, None if it was not."""
        span = self._attempts[-1]
        span.ended = self._tracer.now()
        span.error = OTHER if status is None else failure_of(status, is_client=True)
        if status is not None:
            span.attributes["http.response.status_code"] = status

    def close(self, record: RequestRecord) -> None:
        """The request is over, and all is known of it."""
        served = self._served
        if served is None:
            return
        served.attributes = of_request(record, self._request.scheme)
        served.error = failure_of(record.status, is_client=False) or ("" if record.status else OTHER)
        if self._attempts and self._attempts[-1].error == OTHER and record.flags != "-":
            self._attempts[-1].error = record.flags
        for span in (*self._attempts, served):
            self._tracer.finish(span)


class TracedBackend:
    """A backend whose calls have spans."""

    def __init__(self, backend: Backend[Pick], trace: RequestTrace) -> None:
        self._backend, self._trace = backend, trace

    def choose(self, tried: frozenset[Pick]) -> Pick:
        """See `Backend`."""
        return self._backend.choose(tried)

    def lease_now(self, target: Pick) -> Upstream | None:
        """See `Backend`."""
        return self._backend.lease_now(target)

    async def lease(self, target: Pick) -> Upstream:
        """See `Backend`."""
        return await self._backend.lease(target)

    def begun(self, target: Pick) -> None:
        """See `Backend`."""
        self._backend.begun(target)
        self._trace.attempt(target)

    def ended(self, target: Pick, status: int | None) -> None:
        """See `Backend`."""
        self._backend.ended(target, status)
        self._trace.attempted(status)

    def may_retry(self) -> bool:
        """See `Backend`."""
        return self._backend.may_retry()

    def retried(self) -> None:
        """See `Backend`."""
        self._backend.retried()


def _of_endpoint(endpoint: Endpoint) -> Attributes:
    """Whom a call goes to, and who that proves to be."""
    found = of_address(endpoint.address)
    if endpoint.workload is not None:
        found |= of_workload("destination", endpoint.workload)
    way = endpoint.carrier
    if not isinstance(way, Plain) and len(way.expect) == 1:
        found["istio.destination_principal"] = str(way.expect[0])
    if isinstance(way, Hbone):
        found["hbone.authority"] = way.authority
    return found
