"""What spans say: OpenTelemetry's words for HTTP, Istio's for the mesh."""

from __future__ import annotations

import pytest

from mesh_py.telemetry.facts import ConnectionFacts, Party, ServiceFacts
from mesh_py.telemetry.requests import RequestRecord
from mesh_py.tracing.attributes import LONGEST, failure_of, of_address, of_method, of_request

SLEEP = Party(name="sleep-1", workload="sleep", namespace="default", canonical_service="sleep", cluster="c1")
CART = Party(name="cart-1", workload="cart", namespace="shop", identity="spiffe://cluster.local/ns/shop/sa/cart")
SERVICE = ServiceFacts("cart.shop.svc.cluster.local", "shop", "cart")
WHO = "spiffe://cluster.local/ns/default/sa/sleep"


def record(**more: object) -> RequestRecord:
    facts = ConnectionFacts("waypoint", SLEEP, CART, SERVICE, True, WHO)
    made = RequestRecord(
        facts, 0.0, "GET", "/items?id=7", authority="cart.shop:8000", downstream_remote="10.0.0.1:5555"
    )
    for name, value in ({"status": 200, "cluster": "inbound-vip|8000|http|cart"} | more).items():
        setattr(made, name, value)
    return made


def test_a_request() -> None:
    assert of_request(record(), "http") == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/items",
        "url.query": "id=7",
        "server.address": "cart.shop",
        "server.port": 8000,
        "client.address": "10.0.0.1",
        "client.port": 5555,
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": 0,
        "upstream_cluster.name": "inbound-vip|8000|http|cart",
        "response_flags": "-",
        "component": "proxy",
        "istio.reporter": "waypoint",
        "istio.source_workload": "sleep",
        "istio.source_workload_namespace": "default",
        "istio.source_canonical_service": "sleep",
        "istio.source_cluster": "c1",
        "istio.source_principal": WHO,
        "istio.destination_workload": "cart",
        "istio.destination_workload_namespace": "shop",
        "istio.destination_principal": "spiffe://cluster.local/ns/shop/sa/cart",
        "istio.destination_service": "cart.shop.svc.cluster.local",
        "istio.connection_security_policy": "mutual_tls",
    }


def test_nobody_known() -> None:
    found = of_request(record(facts=ConnectionFacts("source", None, None)), "http")
    assert [key for key in found if key.startswith("istio.")] == [
        "istio.reporter",
        "istio.connection_security_policy",
    ]


def test_what_a_peer_chose_has_a_bound() -> None:
    found = of_request(record(path="/" + "a" * 9000 + "?" + "b" * 9000, user_agent="u" * 9000), "http")
    for key in ("url.path", "url.query", "user_agent.original"):
        assert len(str(found[key])) == LONGEST


@pytest.mark.parametrize(
    ("authority", "host", "port"),
    [
        ("cart:8000", "cart", 8000),
        ("cart", "cart", None),
        ("[fd00::7]:8080", "fd00::7", 8080),
        ("[fd00::7]", "fd00::7", None),
        ("", None, None),
        ("cart:many", "cart:many", None),
    ],
)
def test_whom_a_request_names(authority: str, host: str | None, port: int | None) -> None:
    found = of_request(record(authority=authority), "http")
    assert (found.get("server.address"), found.get("server.port")) == (host, port)


def test_a_method_of_somebodys_own() -> None:
    assert of_method("POST") == {"http.request.method": "POST"}
    assert of_method("BREW") == {"http.request.method": "_OTHER", "http.request.method_original": "BREW"}


def test_whom_a_call_goes_to() -> None:
    there = {"server.address": "10.0.0.7", "server.port": 80}
    assert of_address(("10.0.0.7", 80)) == there | {"network.peer.address": "10.0.0.7", "network.peer.port": 80}
    assert of_address(("example.com", 443)) == {"server.address": "example.com", "server.port": 443}


@pytest.mark.parametrize(
    ("status", "for_the_server", "for_the_client"),
    [(200, "", ""), (302, "", ""), (404, "", "404"), (503, "503", "503"), (0, "", "")],
)
def test_which_answers_are_failures(status: int, for_the_server: str, for_the_client: str) -> None:
    assert failure_of(status, is_client=False) == for_the_server
    assert failure_of(status, is_client=True) == for_the_client
