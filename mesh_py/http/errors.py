"""What goes wrong at layer 7, each with Envoy's status, response flag and words [pure].

`status` and `body` answer the request; `flag` goes into the access log; `str(error)` says what, for the log's details.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mesh_py.model.errors import MeshError

if TYPE_CHECKING:
    from hbone_py.errors import Blame

RESET = "upstream connect error or disconnect/reset before headers. reset reason: "
"""Envoy's words; what really happened stays in the log."""


class HttpError(MeshError):
    """Base of everything that ends a request early."""

    status: ClassVar[int] = 503
    flag: ClassVar[str] = "-"
    body: ClassVar[str | None] = None
    """What the client reads; None: the error's own text."""

    @property
    def answer(self) -> int:
        """The status to answer with, for errors that carry one of their own."""
        return self.status

    @property
    def grpc_answer(self) -> int:
        """The status whose counterpart a gRPC call is answered with."""
        return self.answer

    @property
    def text(self) -> str:
        """The body of the answer."""
        return str(self) if self.body is None else self.body


# What the client did ------------------------------------------------------------


class BadMessage(HttpError):
    """The peer's bytes are no HTTP, or HTTP that two readers might read in two ways. The connection is closed."""

    status = 400
    flag = "DPE"
    blame: ClassVar[Blame] = "peer"
    body = "Bad Request"


class HeadTooLarge(BadMessage):
    """More header bytes or fields than the limits allow."""

    status = 431
    body = "Request Header Fields Too Large"


class LineTooLong(BadMessage):
    """The request line alone is over its limit."""

    status = 414
    body = "URI Too Long"


class VersionNotSupported(BadMessage):
    """Neither HTTP/1.0, 1.1 nor 2."""

    status = 505
    body = "HTTP Version Not Supported"


class TooDearToMatch(HttpError):
    """A path or header that makes a regular expression of a route or policy look for too long."""

    status = 400
    flag = "DPE"
    blame: ClassVar[Blame] = "peer"
    body = "Bad Request"


class BodyTooLarge(HttpError):
    """A body that had to be held (for a retry, an authorizer) is over its limit."""

    status = 413
    blame: ClassVar[Blame] = "peer"
    body = "Payload Too Large"


class RequestTimeout(HttpError):
    """The client took too long over its request: head, body or silence."""

    status = 408
    flag = "SI"
    blame: ClassVar[Blame] = "peer"
    body = "request timeout"


class DownstreamGone(HttpError):
    """The client went away before it had its answer. Nobody reads the status; Envoy logs 0."""

    status = 0
    flag = "DC"
    blame: ClassVar[Blame] = "peer"


# What policy and configuration say -------------------------------------------------


class AccessDenied(HttpError):
    """An AuthorizationPolicy refuses the request; the text names policy and rule."""

    status = 403
    blame: ClassVar[Blame] = "policy"
    body = "RBAC: access denied"


class AuthorizerDenied(HttpError):
    """An external authorizer refuses the request."""

    status = 403
    flag = "UAEX"
    blame: ClassVar[Blame] = "policy"


class BadToken(HttpError):
    """A JWT is missing where one is required, expired, malformed, or signed by nobody we trust."""

    status = 401
    blame: ClassVar[Blame] = "policy"


class WrongAudience(BadToken):
    """The token is genuine and meant for somebody else."""

    status = 403


class RateLimited(HttpError):
    """The local rate limit is used up."""

    status = 429
    flag = "RL"
    blame: ClassVar[Blame] = "policy"
    body = "local_rate_limited"


class FaultInjected(HttpError):
    """A fault that configuration asks for."""

    flag = "FI"
    blame: ClassVar[Blame] = "policy"
    body = "fault filter abort"

    def __init__(self, status: int) -> None:
        super().__init__(f"fault injected: {status}")
        self._status = status

    @property
    def answer(self) -> int:
        """The configured status."""
        return self._status


class NoRoute(HttpError):
    """Routes are attached and none matches."""

    status = 404
    flag = "NR"
    blame: ClassVar[Blame] = "policy"
    body = ""


class ConnectRefused(NoRoute):
    """CONNECT in place of a request: no route takes it, as no route of Envoy's does.

    The application's 200 would turn the connection into one of plain bytes, and requests inside could be judged by
    nobody.
    """


class InvalidBackend(HttpError):
    """The route leads to what does not exist or may not be referred to (Gateway API: 500, for gRPC UNAVAILABLE)."""

    status = 500
    flag = "NC"
    blame: ClassVar[Blame] = "policy"

    @property
    def grpc_answer(self) -> int:
        """UNAVAILABLE is 503's."""
        return 503


# What upstream did ---------------------------------------------------------------


class NoHealthyEndpoint(HttpError):
    """No endpoint of the backend can serve."""

    flag = "UH"
    blame: ClassVar[Blame] = "network"
    body = "no healthy upstream"


class UpstreamFailure(HttpError):
    """Upstream could not be reached at all."""

    flag = "UF"
    blame: ClassVar[Blame] = "network"
    body = RESET + "connection failure"


class UpstreamReset(HttpError):
    """Upstream closed or reset before its answer was complete."""

    flag = "UC"
    blame: ClassVar[Blame] = "application"
    body = RESET + "connection termination"


class UpstreamRefused(UpstreamReset):
    """Upstream refused the stream before it did anything (REFUSED_STREAM): safe to try again."""

    flag = "UR"


class UpstreamRemoteReset(UpstreamReset):
    """Upstream reset this one stream."""

    flag = "UR"
    body = RESET + "remote reset"


class UpstreamBadMessage(HttpError):
    """Upstream's answer is no HTTP, or HTTP that two readers might read in two ways."""

    status = 502
    flag = "UPE"
    blame: ClassVar[Blame] = "application"
    body = RESET + "protocol error"


class UpstreamTimeout(HttpError):
    """The route's time is over and upstream has not answered."""

    status = 504
    flag = "UT"
    blame: ClassVar[Blame] = "application"
    body = "upstream request timeout"


class UpstreamOverflow(HttpError):
    """A circuit limit is reached; nothing was tried."""

    flag = "UO"
    blame: ClassVar[Blame] = "policy"
    body = RESET + "overflow"


# What we did ---------------------------------------------------------------------


class UnwritableMessage(HttpError):
    """A head that cannot be written: a filter or setting put a line end or a non-byte into a field."""

    status = 500
    body = "Internal Server Error"


RETRY_LIMIT_FLAG = "URX"
"""Added to the last failure's flag once every attempt is used."""

DELAY_FLAG = "DI"
"""Added where a delay was injected."""
