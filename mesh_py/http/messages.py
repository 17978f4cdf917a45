"""Requests and responses as every part of layer 7 sees them, whatever version carried them [pure].

The form is HTTP/2's: `authority` instead of a Host field, no field that belongs to one connection
(`connection`, `transfer-encoding`, `upgrade` ...). A codec takes them away when it reads and puts its own when it
writes, so that HTTP/1 becomes HTTP/2 and back by reading with one codec and writing with the other. Bodies are no part
of a message: they pass as events. An upgrade (WebSocket) has HTTP/1's form in either version: `GET` with
`protocol="websocket"`, answered by 101.
"""

from __future__ import annotations

from typing import Literal

from mesh_py.http.headers import Headers

Version = Literal["HTTP/1.0", "HTTP/1.1", "HTTP/2"]


class HttpRequest:
    """The head of a request. Filters and the router change it on its way."""

    __slots__ = ("authority", "headers", "method", "path", "protocol", "scheme", "version")

    def __init__(
        self,
        method: str,
        path: str,
        authority: str,
        headers: Headers | None = None,
        scheme: str = "http",
        version: Version = "HTTP/1.1",
        protocol: str = "",
    ) -> None:
        self.method = method
        self.path = path
        """Path and query as received; `*` for `OPTIONS *`, empty for CONNECT."""
        self.authority = authority
        self.headers = Headers() if headers is None else headers
        self.scheme = scheme
        self.version = version
        """What it came by; a codec writes its own version."""
        self.protocol = protocol
        """What a tunnel is asked for: `websocket`. Empty for ordinary requests and for CONNECT to an authority."""

    @property
    def is_tunnel(self) -> bool:
        """Whether success turns the connection (or stream) into one of plain bytes."""
        return self.method == "CONNECT" or self.protocol != ""

    def copy(self) -> HttpRequest:
        """The same request with headers of its own: for mirrors and retries."""
        return HttpRequest(
            self.method, self.path, self.authority, self.headers.copy(), self.scheme, self.version, self.protocol
        )

    def _said(self) -> tuple[object, ...]:
        return self.method, self.path, self.authority, self.headers, self.scheme, self.version, self.protocol

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HttpRequest) and self._said() == other._said()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"HttpRequest{self._said()!r}"


class HttpResponse:
    """The head of a response."""

    __slots__ = ("headers", "reason", "status", "version")

    def __init__(
        self, status: int, headers: Headers | None = None, version: Version = "HTTP/1.1", reason: str = ""
    ) -> None:
        self.status = status
        self.headers = Headers() if headers is None else headers
        self.version = version
        self.reason = reason
        """What HTTP/1 said beside the status; empty means the status's usual words."""

    @property
    def is_interim(self) -> bool:
        """1xx, after which the real response comes; 101 is final."""
        return self.status < 200 and self.status != 101

    def _said(self) -> tuple[object, ...]:
        return self.status, self.headers, self.version, self.reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HttpResponse) and self._said() == other._said()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"HttpResponse{self._said()!r}"


def has_no_body(status: int, method: str) -> bool:
    """Whether a response never has a body, whatever its headers say (RFC 9112 6.3)."""
    return method == "HEAD" or status < 200 or status == 204 or status == 304


def accepts_tunnel(status: int, request: HttpRequest) -> bool:
    """Whether this answer to a tunnel request opens the tunnel: 101 to an upgrade, any 2xx to CONNECT."""
    return status == 101 if request.protocol else 200 <= status < 300
