"""What an external authorizer is asked, and what its answer means."""

from __future__ import annotations

import pytest

from mesh_py.http.authorizer import Allowed, Denied, Provider, as_answer, check_request, decide, refusal, unavailable
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse
from tests.mesh_py.http.routes import request

AUTHZ = Provider(
    "authz",
    "authz.default.svc.cluster.local",
    8000,
    path_prefix="/check/",
    include_request_headers=("X-User", "x-ctx-*"),
    include_additional_headers={"X-From": "mesh"},
    headers_to_upstream_on_allow=("x-user-id",),
    headers_to_downstream_on_deny=("www-authenticate",),
    headers_to_downstream_on_allow=("set-cookie",),
)


def test_what_is_asked() -> None:
    asked = request("/a?b", "POST", authorization="t", x_user="jo", x_ctx_a="1", x_other="2", content_length="9")
    check = check_request(asked, AUTHZ)
    assert (check.method, check.path, check.authority) == ("POST", "/check/a?b", "web")
    assert check.headers.fields == [
        ("authorization", "t"),
        ("x-user", "jo"),
        ("x-ctx-a", "1"),
        ("content-length", "0"),
        ("x-from", "mesh"),
    ]


def test_200_lets_it_pass_and_may_add() -> None:
    decision = decide(HttpResponse(200, Headers([("x-user-id", "7"), ("set-cookie", "a"), ("x", "y")])), b"", AUTHZ)
    assert decision == Allowed(Headers([("x-user-id", "7")]), Headers([("set-cookie", "a")]))
    assert isinstance(decision, Allowed)
    asked = request(x_user_id="forged")
    decision.apply(asked)
    assert asked.headers.fields == [("x-user-id", "7")]


def test_another_answer_is_the_clients() -> None:
    answer = HttpResponse(401, Headers([("www-authenticate", "Basic"), ("x", "y"), ("content-length", "2")]))
    denied = decide(answer, b"no", AUTHZ)
    assert denied == Denied(HttpResponse(401, Headers([("www-authenticate", "Basic")])), b"no")
    everything = decide(answer, b"no", Provider("p", "s", 1))
    assert everything.response.headers.fields == [("www-authenticate", "Basic"), ("x", "y")]  # type: ignore[union-attr]
    assert isinstance(denied, Denied)
    assert refusal(AUTHZ, denied).flag == "UAEX"


@pytest.mark.parametrize("status", [500, 503])
def test_no_answer_is_a_refusal_unless_told_otherwise(status: int) -> None:
    assert decide(HttpResponse(status), b"", AUTHZ) == Denied(HttpResponse(403), b"")
    assert unavailable(Provider("p", "s", 1, status_on_error=503)) == Denied(HttpResponse(503), b"")
    assert decide(HttpResponse(status), b"", Provider("p", "s", 1, fail_open=True)) == Allowed(Headers(), Headers())


LONG = "é%".encode() * 1024


@pytest.mark.parametrize(
    ("status", "headers", "body", "told"),
    [
        pytest.param(401, [("x-why", "no")], b"log in", ("16", "log in"), id="as its status says"),
        pytest.param(418, [], b"", ("2", None), id="a status that gRPC has not"),
        pytest.param(403, [("grpc-status", "8")], b"", ("8", None), id="as the authorizer says"),
        pytest.param(
            403,
            [("content-type", "text/html")],
            "é%".encode() * 1024,
            ("7", "%C3%A9%25" * 341 + "%EF%BF%BD"),
            id="long",
        ),
    ],
)
def test_a_grpc_call_is_refused_in_its_own_form(
    status: int, headers: list[tuple[str, str]], body: bytes, told: tuple[str, str | None]
) -> None:
    denied = Denied(HttpResponse(status, Headers(headers)), body)
    assert as_answer(denied, request()) is denied
    answer, rest = as_answer(denied, request(content_type="application/grpc+proto"))
    assert (answer.status, answer.headers.get("content-type"), rest) == (200, "application/grpc", b"")
    assert (answer.headers.get("grpc-status"), answer.headers.get("grpc-message")) == told
    assert answer.headers.get("x-why") == dict(headers).get("x-why")
