"""WebSocket from HTTP/1's handshake to HTTP/2's and back (RFC 6455 4, RFC 8441 5) [pure].

HTTP/1 asks with a key and is answered with its hash, to show that the server speaks WebSocket. HTTP/2 does without.
Where the versions differ on the two sides of a proxy, the proxy gives the one and takes the other away.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest, HttpResponse

CONNECT_ACCEPTED = 200
"""HTTP/2's answer to CONNECT where HTTP/1 says 101."""

_KEY, _ACCEPT = "sec-websocket-key", "sec-websocket-accept"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# The key keeps no secret: it shows that the answer is no cached one, and between us and upstream there is no cache.
_OUR_KEY = base64.b64encode(b"hbone-mesh-proxy").decode()


def for_h1(request: HttpRequest) -> HttpRequest:
    """A WebSocket request that came by HTTP/2, with a key, so that HTTP/1 can carry it on."""
    if request.protocol == "websocket" and _KEY not in request.headers:
        request.headers.add(_KEY, _OUR_KEY)
    return request


def from_h1(request: HttpRequest) -> HttpRequest:
    """A WebSocket request as HTTP/2 wants it: without the key. Any other as it is."""
    if not request.protocol or _KEY not in request.headers:
        return request
    copy = request.copy()
    copy.headers.drop(_KEY)
    return copy


def add_accept(request: HttpRequest, response: HttpResponse) -> None:
    """Answer the client's key in a 101 that came by HTTP/2 without it."""
    key = request.headers.get(_KEY)
    if request.protocol == "websocket" and key is not None and _ACCEPT not in response.headers:
        response.headers.add(_ACCEPT, accept_of(key))


def accept_of(key: str) -> str:
    """The hash of a key (RFC 6455 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode("latin-1") + _GUID).digest()).decode()
