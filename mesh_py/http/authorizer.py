"""Asking an external HTTP authorizer: what it is asked, and what its answer means [pure].

Istio's `envoyExtAuthzHttp` providers, for CUSTOM policies. The shell sends `check_request`, reads at most a small body,
and hands the answer to `decide`; where none came in time, `unavailable` says what then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mesh_py.http.errors import AuthorizerDenied
from mesh_py.http.grpc_reply import grpc_reply, is_grpc
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse
from mesh_py.http.rbac_facts import any_text
from mesh_py.manifests.chain import Provider

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Allowed",
    "Decision",
    "Denied",
    "Provider",
    "as_answer",
    "check_request",
    "decide",
    "refusal",
    "unavailable",
]

_ALWAYS_SENT = ("authorization",)
_NEVER_TOLD = frozenset({"content-length", "transfer-encoding", "connection", "host"})
MOST_BODY_BYTES = 64 * 1024
"""Of a refusal, which is passed on to the client."""
_MOST_MESSAGE = 1024
"""Bytes of it that a gRPC call is told: they go into a header."""


class Allowed(NamedTuple):
    """The request passes, with these fields set in it and in its answer."""

    request_headers: Headers
    response_headers: Headers

    def apply(self, request: HttpRequest) -> None:
        """Set the fields in the request."""
        for name, value in self.request_headers:
            request.headers.set(name, value)


class Denied(NamedTuple):
    """The authorizer's own answer."""

    response: HttpResponse
    body: bytes


Decision = Allowed | Denied


def check_request(request: HttpRequest, provider: Provider) -> HttpRequest:
    """The request's method, path and host, with the headers that the provider may see, and no body."""
    seen = any_text([*_ALWAYS_SENT, *provider.include_request_headers], fold=True)
    headers = Headers(field for field in request.headers if seen(field[0]) and field[0] not in _NEVER_TOLD)
    headers.add("content-length", "0")
    for name, value in provider.include_additional_headers.items():
        headers.set(name.lower(), value)
    path = provider.path_prefix.rstrip("/") + (request.path or "/")
    return HttpRequest(request.method, path, request.authority, headers, request.scheme)


def decide(response: HttpResponse, body: bytes, provider: Provider) -> Decision:
    """200 lets the request pass; a server error counts as no answer; anything else is the client's answer."""
    if response.status == 200:
        return Allowed(
            _chosen(response, provider.headers_to_upstream_on_allow),
            _chosen(response, provider.headers_to_downstream_on_allow),
        )
    if response.status >= 500:
        return unavailable(provider)
    # Without a list Envoy passes on everything but what belongs to the connection.
    wanted = provider.headers_to_downstream_on_deny or ("*",)
    headers = _chosen(response, wanted)
    return Denied(HttpResponse(response.status, headers), body[:MOST_BODY_BYTES])


def unavailable(provider: Provider) -> Decision:
    """No answer in time: closed, unless the provider says otherwise."""
    if provider.fail_open:
        return Allowed(Headers(), Headers())
    return Denied(HttpResponse(provider.status_on_error), b"")


def as_answer(denied: Denied, request: HttpRequest) -> Denied:
    """A refusal in the form that the client of `request` reads: to a gRPC call its status and its text are gRPC's own,
    as Envoy has it, whose authorizers may even name the gRPC status."""
    if not is_grpc(request):
        return denied
    told = grpc_reply(denied.response.status, denied.body[:_MOST_MESSAGE].decode("utf-8", "replace"))
    headers = denied.response.headers.copy()
    for name, value in told.headers:
        if name != "grpc-status" or name not in headers:
            headers.set(name, value)
    return Denied(HttpResponse(told.status, headers), b"")


def refusal(provider: Provider, denied: Denied) -> AuthorizerDenied:
    """For the log."""
    return AuthorizerDenied(f"ext_authz_denied: {provider.name} answered {denied.response.status}")


def _chosen(response: HttpResponse, names: Iterable[str]) -> Headers:
    wanted = any_text(names, fold=True)
    return Headers(field for field in response.headers if wanted(field[0]) and field[0] not in _NEVER_TOLD)
