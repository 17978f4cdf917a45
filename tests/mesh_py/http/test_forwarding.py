"""What a proxy says about itself and its client."""

from __future__ import annotations

import pytest

from mesh_py.http.client_cert import ClientCert
from mesh_py.http.forwarding import (
    ClientCertRule,
    count_attempts,
    forward_client_cert,
    mark_request,
    mark_response,
    remote_address,
    remove_internal,
)
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse
from tests.mesh_py.http.routes import request

SLEEP, HTTPBIN = "spiffe://cluster.local/ns/default/sa/sleep", "spiffe://cluster.local/ns/default/sa/httpbin"
CERT = ClientCert(SLEEP, HTTPBIN, "ab12", "")
ELEMENT = f'By={HTTPBIN};Hash=ab12;Subject="";URI={SLEEP}'


@pytest.mark.parametrize(
    ("came", "expected"),
    [({}, [("x-forwarded-proto", "http")]), ({"x_forwarded_proto": "https"}, [("x-forwarded-proto", "https")])],
    ids=["filled in", "stays"],
)
def test_how_the_client_came(came: dict[str, str], expected: list[tuple[str, str]]) -> None:
    asked = request(**came)
    mark_request(asked)
    assert asked.headers.fields == expected


def test_attempts_are_counted_from_one_whatever_the_client_said() -> None:
    asked = request(x_envoy_attempt_count="7")
    count_attempts(asked)
    assert asked.headers.fields == [("x-envoy-attempt-count", "1")]


@pytest.mark.parametrize(
    ("listed", "hops", "expected"),
    [
        ("1.1.1.1, 2.2.2.2", 0, "9.9.9.9"),
        ("1.1.1.1, 2.2.2.2", 1, "2.2.2.2"),
        ("1.1.1.1, 2.2.2.2", 2, "1.1.1.1"),
        ("1.1.1.1", 2, "9.9.9.9"),
        ("", 1, "9.9.9.9"),
    ],
)
def test_the_clients_address(listed: str, hops: int, expected: str) -> None:
    assert remote_address(request(x_forwarded_for=listed), "9.9.9.9", hops) == expected


def test_nobody_outside_turns_envoys_knobs() -> None:
    asked = request(x_envoy_retry_on="5xx", x_a="1", x_envoy_upstream_rq_timeout_ms="1")
    remove_internal(asked)
    assert asked.headers.fields == [("x-a", "1")]


DATE = "Sat, 28 Nov 2026 13:44:13 GMT"


@pytest.mark.parametrize("came", [[], [("server", "app")]], ids=["none", "the application's"])
def test_the_server_is_ours_and_the_date_its_own(came: list[tuple[str, str]]) -> None:
    response = HttpResponse(200, Headers(list(came)))
    mark_response(response, date=DATE)
    assert sorted(response.headers.fields) == [("date", DATE), ("server", "istio-envoy")]
    mark_response(response, date="another")
    assert response.headers.get("date") == DATE


@pytest.mark.parametrize(
    ("rule", "came", "with_cert", "without"),
    [
        (ClientCertRule.SANITIZE, "URI=evil", None, None),
        (ClientCertRule.FORWARD_ONLY, "URI=other", "URI=other", None),
        (ClientCertRule.APPEND_FORWARD, "URI=other", f"URI=other,{ELEMENT}", None),
        (ClientCertRule.APPEND_FORWARD, None, ELEMENT, None),
        (ClientCertRule.SANITIZE_SET, "URI=evil", ELEMENT, None),
        (ClientCertRule.SANITIZE_SET, None, ELEMENT, None),
        (ClientCertRule.ALWAYS_FORWARD_ONLY, "URI=other", "URI=other", "URI=other"),
    ],
)
def test_the_clients_certificate(
    rule: ClientCertRule, came: str | None, with_cert: str | None, without: str | None
) -> None:
    for cert, expected in ((CERT, with_cert), (None, without)):
        asked = request(x_forwarded_client_cert=came) if came else request()
        forward_client_cert(asked, rule, "" if cert is None else cert.element())
        assert asked.headers.get("x-forwarded-client-cert") == expected


@pytest.mark.parametrize(
    ("cert", "element"),
    [
        (ClientCert(SLEEP), f"URI={SLEEP}"),
        (ClientCert("", "", "", 'CN="a",O=b'), 'Subject="CN=\\"a\\",O=b";URI='),
        (ClientCert("spiffe://a;URI=spiffe://b"), 'URI="spiffe://a;URI=spiffe://b"'),
        (ClientCert(SLEEP, dns=("a.b", "c.d")), f"URI={SLEEP};DNS=a.b;DNS=c.d"),
    ],
    ids=["plain", "quotes in the subject", "a value that would forge another", "names"],
)
def test_elements(cert: ClientCert, element: str) -> None:
    assert cert.element() == element
