"""Requests and responses as every part of layer 7 sees them, whatever version carried them [pure].

The form is HTTP/2's: `authority` instead of a Host field, no field that belongs to one connection
(`connection`, `transfer-encoding`, `upgrade` ...). A codec takes them away when it reads and puts its own when it
writes, so that HTTP/1 becomes HTTP/2 and back by reading with one codec and writing with the other. Bodies are no part
of a message: they pass as events. An upgrade (WebSocket) has HTTP/1's form in either version: `GET` with
`protocol="websocket"`, answered by 101.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mesh_py.http.headers import Headers

Version = Literal["HTTP/1.0", "HTTP/1.1", "HTTP/2"]


@dataclass(slots=True)
class HttpRequest:
    """The head of a request. Filters and the router change it on its way."""

    method: str
    path: str
    """Path and query as received; `*` for `OPTIONS *`, empty for CONNECT."""
    authority: str
    headers: Headers = field(default_factory=Headers)
    scheme: str = "http"
    version: Version = "HTTP/1.1"
    """What it came by; a codec writes its own version."""
    protocol: str = ""
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


@dataclass(slots=True)
class HttpResponse:
    """The head of a response."""

    status: int
    headers: Headers = field(default_factory=Headers)
    version: Version = "HTTP/1.1"
    reason: str = ""
    """What HTTP/1 said beside the status; empty means the status's usual words."""

    @property
    def is_interim(self) -> bool:
        """1xx, after which the real response comes; 101 is final."""
        return self.status < 200 and self.status != 101


def has_no_body(status: int, method: str) -> bool:
    """Whether a response never has a body, whatever its headers say (RFC 9112 6.3)."""
    return method == "HEAD" or status < 200 or status == 204 or status == 304


def accepts_tunnel(status: int, request: HttpRequest) -> bool:
    """Whether this answer to a tunnel request opens the tunnel: 101 to an upgrade, any 2xx to CONNECT."""
    return status == 101 if request.protocol else 200 <= status < 300
