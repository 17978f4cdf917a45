"""What a proxy writes into requests and responses about itself and the client, as Envoy and Istio do [pure].

Nothing here decides: the values (a time, who the peer proved to be) come in as arguments.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from mesh_py.http.errors import ConnectRefused
from mesh_py.http.headers import CLIENT_CERT

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest, HttpResponse

XFCC = CLIENT_CERT
ATTEMPT_COUNT = "x-envoy-attempt-count"
# Envoy's own knobs and reports, which nobody outside the mesh may send (its `internal` headers).
_INTERNAL = frozenset(
    {
        ATTEMPT_COUNT,
        "x-envoy-decorator-operation",
        "x-envoy-expected-rq-timeout-ms",
        "x-envoy-external-address",
        "x-envoy-internal",
        "x-envoy-ip-tags",
        "x-envoy-max-retries",
        "x-envoy-original-host",
        "x-envoy-original-path",
        "x-envoy-retry-on",
        "x-envoy-retry-grpc-on",
        "x-envoy-upstream-alt-stat-name",
        "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-upstream-rq-timeout-ms",
    }
)


def refuse_connect(request: HttpRequest) -> None:
    """Where requests are judged nobody gets by inside of one. WebSocket, which names its protocol, is another matter.

    Raises:
        ConnectRefused: the method is CONNECT.
    """
    if request.method == "CONNECT":
        raise ConnectRefused(f"CONNECT to {request.authority}: what is inside could be judged by nobody")


def remove_internal(request: HttpRequest) -> None:
    """Take away what only the mesh may say, from a request that comes from outside it."""
    headers = request.headers
    if any(name.startswith("x-envoy-") for name, _ in headers.fields):
        headers.drop(*_INTERNAL)


def mark_request(request: HttpRequest) -> None:
    """Fill in `x-forwarded-proto`, unless it came along. Istio's gateways alone add to `x-forwarded-for`."""
    if "x-forwarded-proto" not in request.headers:
        request.headers.add("x-forwarded-proto", request.scheme)


def count_attempts(request: HttpRequest) -> None:
    """Say `x-envoy-attempt-count`, from 1 on: who chooses the endpoint tells it how often it was tried."""
    request.headers.set(ATTEMPT_COUNT, "1")


def remote_address(request: HttpRequest, peer_ip: str, trusted_hops: int = 0) -> str:
    """The client's address: of `x-forwarded-for` so many trusted hops from its end, else the peer's."""
    if trusted_hops:
        listed = [part.strip() for part in (request.headers.joined("x-forwarded-for") or "").split(",") if part.strip()]
        if len(listed) >= trusted_hops:
            return listed[-trusted_hops]
    return peer_ip


# Responses ----------------------------------------------------------------------


def mark_response(response: HttpResponse, *, date: str) -> None:
    """Say `server`, whatever the application called itself, and `date` unless it did (RFC 9110 5.6.7)."""
    headers = response.headers
    headers.set("server", "istio-envoy")
    if "date" not in headers:
        headers.add("date", date)


# The client's certificate --------------------------------------------------------


class ClientCertRule(Enum):
    """What becomes of `x-forwarded-client-cert` (Envoy's `forward_client_cert_details`)."""

    SANITIZE = "SANITIZE"
    """Never passed on. Envoy's default, and a waypoint's inside."""
    FORWARD_ONLY = "FORWARD_ONLY"
    """Passed on where the peer showed a certificate."""
    APPEND_FORWARD = "APPEND_FORWARD"
    """The peer's added behind what came. A sidecar's inbound."""
    SANITIZE_SET = "SANITIZE_SET"
    """The peer's alone. A gateway's."""
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


def forward_client_cert(request: HttpRequest, rule: ClientCertRule, element: str) -> None:
    """Apply the rule; `element` is the peer's `ClientCert`.

    It is empty where the peer showed no certificate, and then nothing it says is believed.
    """
    headers = request.headers
    if rule is ClientCertRule.ALWAYS_FORWARD_ONLY:
        return
    if rule is ClientCertRule.SANITIZE or not element:
        headers.drop(XFCC)
    elif rule is ClientCertRule.SANITIZE_SET:
        headers.set(XFCC, element)
    elif rule is ClientCertRule.APPEND_FORWARD:
        headers.append(XFCC, element)
