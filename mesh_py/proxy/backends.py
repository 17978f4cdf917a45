"""Endpoints as one request sees them: the choice among them, connections to them, and what they may be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.errors import HboneError
from mesh_py.exchange.passage import Limits
from mesh_py.exchange.pool import PoolLimits
from mesh_py.http.codec_h1 import H1Client
from mesh_py.http.codec_h2 import H2Client
from mesh_py.http.errors import HttpError, UpstreamFailure
from mesh_py.http.retry import DEFAULT_POLICY
from mesh_py.model.errors import RouteError
from mesh_py.proxy.dial import FOR_HTTP1, FOR_HTTP2, begin, connect
from mesh_py.proxy.directory import host_of
from mesh_py.proxy.journal import as_http_error
from mesh_py.proxy.ways import Secured
from mesh_py.tracing.trace_context import TRACEPARENT

if TYPE_CHECKING:
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.balancing import Wish
    from mesh_py.http.codec import ClientCodec
    from mesh_py.http.messages import HttpRequest
    from mesh_py.http.router import Forward
    from mesh_py.proxy.cluster import Cluster, Pick
    from mesh_py.proxy.context import AnyContext
    from mesh_py.proxy.dial import Reached
    from mesh_py.proxy.ways import Endpoint, Way


class ServiceBackend:
    """The endpoints of a cluster, over the pool, for one request."""

    def __init__(
        self, context: AnyContext, cluster: Cluster, wish: Wish, *, http2: bool, request: HttpRequest | None = None
    ) -> None:
        """`request`: whose `traceparent` a tunnel tells that is opened for it."""
        self._context, self._cluster, self._wish = context, cluster, wish
        self._http2, self._request = http2, request

    def choose(self, tried: frozenset[Pick]) -> Pick:
        """See `Backend`."""
        wish = self._wish._replace(avoid=frozenset(pick.name for pick in tried)) if tried else self._wish
        cluster = self._cluster
        try:
            return cluster.choose(0.0 if cluster.outliers is None else self._context.now(), wish)
        except RouteError as error:
            raise as_http_error(error) from error

    def lease_now(self, target: Pick) -> Upstream | None:
        """See `Backend`."""
        way = target.endpoint.way
        if way.__class__ is Secured:
            way = _meant(way, self._request)
        return self._context.http.lease_now((way, self._http2))

    async def lease(self, target: Pick) -> Upstream:
        """See `Backend`."""
        limits = self._cluster.traffic.pool
        return await lease(self._context, target.endpoint, limits, http2=self._http2, request=self._request)

    def begun(self, target: Pick) -> None:
        """See `Backend`."""
        self._cluster.begun(target)

    def ended(self, target: Pick, status: int | None) -> None:
        """See `Backend`."""
        cluster = self._cluster
        # The time is for those alone who leave endpoints out for a while.
        cluster.ended(target, status, 0.0 if cluster.outliers is None else self._context.now())

    def may_retry(self) -> bool:
        """See `Backend`."""
        return self._cluster.circuit.take_retry()

    def retried(self) -> None:
        """See `Backend`."""
        self._cluster.circuit.retries -= 1


class OneEndpoint:
    """Somebody who is not behind a service."""

    def __init__(self, context: AnyContext, pick: Pick, *, http2: bool, request: HttpRequest | None = None) -> None:
        self._context, self._pick, self._http2, self._request = context, pick, http2, request

    def choose(self, tried: frozenset[Pick]) -> Pick:
        """See `Backend`."""
        return self._pick

    def lease_now(self, target: Pick) -> Upstream | None:
        """See `Backend`."""
        return self._context.http.lease_now((target.endpoint.way, self._http2))

    async def lease(self, target: Pick) -> Upstream:
        """See `Backend`."""
        limits = PoolLimits(idle=self._context.settings.http_pool_idle)
        return await lease(self._context, target.endpoint, limits, http2=self._http2, request=self._request)

    def begun(self, target: Pick) -> None:
        """See `Backend`."""

    def ended(self, target: Pick, status: int | None) -> None:
        """See `Backend`."""

    def may_retry(self) -> bool:
        """See `Backend`."""
        return True

    def retried(self) -> None:
        """See `Backend`."""


async def lease(
    context: AnyContext, target: Endpoint, limits: PoolLimits, *, http2: bool, request: HttpRequest | None = None
) -> Upstream:
    """A connection to an endpoint; a tunnel opened for a request tells its `traceparent`. Raises HttpError."""

    way = _meant(target.way, request)

    async def dial() -> tuple[WireStream, ClientCodec]:
        trace = "" if request is None else request.headers.get(TRACEPARENT) or ""
        stream = await connect(context, way, FOR_HTTP2 if http2 else FOR_HTTP1, trace)
        return stream, H2Client() if http2 else H1Client()

    try:
        return await context.http.lease((way, http2), dial, limits, multiplexed=http2)
    except HttpError:
        raise
    except HboneError as error:
        raise UpstreamFailure(str(error)) from error


def _meant(way: Way, request: HttpRequest | None) -> Way:
    """The way of a request: TLS that we begin asks for its host, which pools keep apart."""
    if isinstance(way, Secured) and request is not None:
        return way.meaning(host_of(request.authority).strip("[]"))
    return way


async def hand_over(
    context: AnyContext, target: Endpoint, reached: Reached, limits: PoolLimits, *, http2: bool
) -> None:
    """Give the pool what was reached before anybody knew that it is for requests. Raises HboneError.

    What TLS asks for on it depends on the request: then it is not used.
    """
    if isinstance(target.way, Secured):
        reached.abort()
        return
    stream = await begin(context, target.way, reached, FOR_HTTP2 if http2 else FOR_HTTP1)
    codec = H2Client() if http2 else H1Client()
    if not context.http.adopt((target.way, http2), stream, codec, limits):
        stream.abort()


def limits_of(decision: Forward | None) -> Limits:
    """A route's times and retries; Istio's defaults without one."""
    if decision is None:
        return Limits(DEFAULT_POLICY)
    timeouts = decision.timeouts
    return Limits(decision.retry, timeouts.request or None, timeouts.backend_request or None)
