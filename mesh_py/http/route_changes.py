"""What a route's filters do to requests and responses: headers, path and host, redirects [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.errors import InvalidBackend
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse
from mesh_py.manifests.routes import PathMatch, PathMatchType

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest
    from mesh_py.manifests.route_filters import HeaderChanges, PathModifier, RequestRedirect, UrlRewrite

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NEVER = frozenset({"host", "connection", "transfer-encoding", "content-length", "upgrade"})


def change_headers(headers: Headers, changes: HeaderChanges) -> None:
    """Set, add and remove. What belongs to the codec (lengths, the connection) is left alone, as in Envoy."""
    for name, value in changes.set:
        if name.lower() not in _NEVER:
            headers.set(name.lower(), value)
    for name, value in changes.add:
        if name.lower() not in _NEVER:
            headers.add(name.lower(), value)
    gone = {name.lower() for name in changes.remove} - _NEVER
    if gone:
        headers.drop(*gone)


def rewrite(request: HttpRequest, change: UrlRewrite, match: PathMatch) -> None:
    """Another host and path on the way to the backend."""
    if change.path is not None:
        request.headers.set("x-envoy-original-path", request.path)
        request.path = new_path(request.path, change.path, match)
    if change.hostname:
        request.headers.set("x-envoy-original-host", request.authority)
        request.authority = change.hostname


def new_path(target: str, change: PathModifier, match: PathMatch) -> str:
    """The path with its prefix, or all of it, replaced; the query stays.

    Raises:
        InvalidBackend: a prefix is to be replaced where none was matched.
    """
    path, mark, query = target.partition("?")
    if not change.replaces_prefix:
        return change.value + mark + query
    if match.type is not PathMatchType.PATH_PREFIX:
        raise InvalidBackend("a route replaces the prefix of a path that it does not match by prefix")
    rest = path[len(match.value.rstrip("/")) :].lstrip("/")
    prefix = change.value.rstrip("/")
    return (f"{prefix}/{rest}" if rest or not prefix or path.endswith("/") else prefix) + mark + query


def redirect(request: HttpRequest, change: RequestRedirect, match: PathMatch, port: int) -> HttpResponse:
    """The answer that sends the client elsewhere; `port` is where the request came in."""
    scheme = change.scheme or request.scheme
    host = change.hostname or _host_of(request.authority)
    path = request.path if change.path is None else new_path(request.path, change.path, match)
    location = f"{scheme}://{host}{_port(change, scheme, port)}{path}"
    return HttpResponse(change.status_code, Headers([("location", location)]))


def _port(change: RequestRedirect, scheme: str, port: int) -> str:
    """The Gateway API's order: as written, else the new scheme's own, else where the request came in."""
    chosen = change.port or (_DEFAULT_PORTS.get(scheme) if change.scheme else None) or port
    return "" if chosen == _DEFAULT_PORTS.get(scheme) else f":{chosen}"


def _host_of(authority: str) -> str:
    if authority.startswith("["):
        return authority[: authority.find("]") + 1]
    return authority.partition(":")[0]
