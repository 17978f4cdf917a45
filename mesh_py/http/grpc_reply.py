"""Answers of our own to gRPC calls: the status in `grpc-status`, as Envoy gives it and clients read it [pure].

https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md has the codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest

_UNKNOWN = 2
_CODES = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def is_grpc(request: HttpRequest) -> bool:
    """Whether a request is a gRPC call; gRPC-Web is none."""
    kind = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    return kind == "application/grpc" or kind.startswith("application/grpc+")


def grpc_reply(status: int, text: str) -> HttpResponse:
    """The answer in place of an HTTP status and its body."""
    fields = [("content-type", "application/grpc"), ("grpc-status", str(_CODES.get(status, _UNKNOWN)))]
    if text:
        fields.append(("grpc-message", quote(text, safe=_PLAIN)))
    return HttpResponse(200, Headers(fields))
