"""What a proxy says about itself and its client."""

from __future__ import annotations

import pytest

from mesh_py.http.forwarding import (
    ClientCert,
    ClientCertRule,
    ServerHeader,
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


def test_what_is_missing_is_filled_in() -> None:
    asked = request()
    mark_request(asked, "id-1")
    assert asked.headers.fields == [("x-request-id", "id-1"), ("x-forwarded-proto", "http")]


def test_what_came_along_stays() -> None:
    asked = request(x_request_id="theirs", x_forwarded_proto="https", x_forwarded_for="1.1.1.1")
    mark_request(asked, "id-1", "10.0.0.1")
    assert asked.headers.fields == [
        ("x-request-id", "theirs"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "1.1.1.1,10.0.0.1"),
    ]


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


@pytest.mark.parametrize(
    ("rule", "came", "expected"),
    [
        (ServerHeader.OVERWRITE, "app", "istio-envoy"),
        (ServerHeader.OVERWRITE, None, "istio-envoy"),
        (ServerHeader.APPEND_IF_ABSENT, "app", "app"),
        (ServerHeader.APPEND_IF_ABSENT, None, "istio-envoy"),
        (ServerHeader.PASS_THROUGH, "app", "app"),
        (ServerHeader.PASS_THROUGH, None, None),
    ],
)
def test_the_server(rule: ServerHeader, came: str | None, expected: str | None) -> None:
    response = HttpResponse(200, Headers([("server", came)] if came else []))
    mark_response(response, rule=rule)
    assert response.headers.get("server") == expected


def test_times_and_via() -> None:
    response = HttpResponse(200)
    mark_response(response, date="Sat, 28 Nov 2026 13:44:13 GMT", service_time=0.0129, via="1.1 envoy")
    assert response.headers.fields == [
        ("server", "istio-envoy"),
        ("date", "Sat, 28 Nov 2026 13:44:13 GMT"),
        ("x-envoy-upstream-service-time", "12"),
        ("via", "1.1 envoy"),
    ]
    mark_response(response, date="another")
    assert response.headers.get("date") != "another"


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
