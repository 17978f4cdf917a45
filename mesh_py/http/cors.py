"""Cross-origin requests: preflights answered, responses marked, as Envoy's filter does [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from mesh_py.manifests.route_filters import Cors

_METHOD, _HEADERS = "access-control-request-method", "access-control-request-headers"


def preflight(request: HttpRequest, cors: Cors) -> HttpResponse | None:
    """The answer to a preflight of an allowed origin, None for every other request."""
    asked = request.headers.get(_METHOD)
    origin = request.headers.get("origin")
    if request.method != "OPTIONS" or not asked or origin is None or not is_allowed(origin, cors):
        return None
    headers = Headers()
    _mark(headers, origin, cors)
    if cors.allow_methods:
        headers.add("access-control-allow-methods", _listed(cors.allow_methods, asked, cors))
    if cors.allow_headers:
        wanted = request.headers.get(_HEADERS) or ""
        headers.add("access-control-allow-headers", _listed(cors.allow_headers, wanted, cors))
    headers.add("access-control-max-age", str(cors.max_age))
    return HttpResponse(200, headers)


def mark_response(request: HttpRequest, response: HttpResponse, cors: Cors) -> None:
    """Tell the browser of an allowed origin that it may look. What the application says of it is replaced."""
    origin = request.headers.get("origin")
    if origin is None or not is_allowed(origin, cors):
        return
    _mark(response.headers, origin, cors)
    if cors.expose_headers:
        response.headers.set("access-control-expose-headers", ",".join(cors.expose_headers))


def is_allowed(origin: str, cors: Cors) -> bool:
    """Whether the origin is on the list; `*` in a host stands for anything within it."""
    return any(_matches(origin, allowed) for allowed in cors.allow_origins)


def _matches(origin: str, allowed: str) -> bool:
    if allowed == "*":
        return True
    before, star, after = allowed.partition("*")
    if not star:
        return origin == allowed
    long_enough = len(origin) > len(before) + len(after)
    return long_enough and origin.startswith(before) and origin.endswith(after)


def _mark(headers: Headers, origin: str, cors: Cors) -> None:
    headers.set("access-control-allow-origin", origin)
    if cors.allow_credentials:
        headers.set("access-control-allow-credentials", "true")


def _listed(values: tuple[str, ...], asked: str, cors: Cors) -> str:
    # With credentials a browser takes `*` for a name, so what was asked for is named (Gateway API).
    return asked if cors.allow_credentials and "*" in values and asked else ",".join(values)
