"""What each field and each condition compares."""

from __future__ import annotations

import pytest

from mesh_py.http.rbac_match import CannotJudge, claim_texts, compile_condition, compile_operation, compile_source
from mesh_py.manifests.security import Condition, Operation, Source
from mesh_py.model.address import Cidr
from tests.mesh_py.http.policies import SLEEP, STRANGER, facts
from tests.mesh_py.http.routes import request
from tests.support.world import ip

CLAIMS = {
    "iss": "https://issuer",
    "sub": "jo",
    "aud": ["a", "b"],
    "azp": "app",
    "scope": "read write",
    "nested": {"roles": ["admin", 7], "level": 3, "on": True},
}
BLOCK, OTHER = (Cidr.parse("10.0.0.0/24"),), (Cidr.parse("192.168.0.0/16"),)


@pytest.mark.parametrize(
    ("field", "value", "sleep", "stranger", "nobody"),
    [
        ("principals", ("cluster.local/ns/default/sa/sleep",), True, False, False),
        ("principals", ("*",), True, True, False),
        ("principals", ("*/sa/sleep",), True, False, False),
        ("principals", ("cluster.local/ns/other/*",), False, True, False),
        ("principals", ("spiffe://cluster.local/ns/default/sa/sleep",), False, False, False),
        ("namespaces", ("default",), True, False, False),
        ("namespaces", ("d*", "x"), True, False, False),
        ("service_accounts", ("sleep",), True, False, False),
        ("service_accounts", ("other/stranger",), False, True, False),
        ("trust_domains", ("cluster.local",), True, True, False),
        ("ip_blocks", BLOCK, True, True, True),
        ("ip_blocks", OTHER, False, False, False),
        ("remote_ip_blocks", BLOCK, True, True, True),
    ],
)
def test_sources(field: str, value: tuple[object, ...], sleep: bool, stranger: bool, nobody: bool) -> None:
    """And with `not_` in front, the opposite."""
    everyone = [facts(identity=identity) for identity in (SLEEP, STRANGER, None)]
    expected = [sleep, stranger, nobody]
    holds = compile_source(Source(**{field: value}), "default")  # type: ignore[arg-type]
    fails = compile_source(Source(**{f"not_{field}": value}), "default")  # type: ignore[arg-type]
    assert [holds(seen) for seen in everyone] == expected
    assert [fails(seen) for seen in everyone] == [not result for result in expected]


def test_the_original_client_is_not_the_peer() -> None:
    seen = facts(remote_ip=ip("192.168.1.1"))
    assert compile_source(Source(remote_ip_blocks=OTHER), "default")(seen)
    assert not compile_source(Source(ip_blocks=OTHER), "default")(seen)


@pytest.mark.parametrize(
    ("field", "value", "asked", "expected"),
    [
        ("hosts", ("web.example",), request(host="web.example"), True),
        ("hosts", ("Web.Example",), request(host="WEB.example"), True),
        ("hosts", ("web.example",), request(host="web.example:8080"), False),
        ("hosts", ("web.example:*",), request(host="web.example:8080"), True),
        ("hosts", ("web.example:8080",), request(host="web.example:8080"), True),
        ("hosts", ("web.example:80",), request(host="web.example:8080"), False),
        ("hosts", ("*.example",), request(host="web.example"), True),
        ("hosts", ("web.*",), request(host="other.example"), False),
        ("hosts", ("*",), request(host=""), False),
        ("methods", ("GET", "HEAD"), request(method="HEAD"), True),
        ("methods", ("get",), request(method="GET"), False),
        ("methods", ("P*",), request(method="PUT"), True),
        ("paths", ("/a",), request("/a?b=c"), True),
        ("paths", ("/a",), request("/a/"), False),
        ("paths", ("/a*",), request("/a/b"), True),
        ("paths", ("*.css",), request("/a/b.css"), True),
        ("paths", ("/a/{*}",), request("/a/b"), True),
        ("paths", ("/a/{*}",), request("/a/b/c"), False),
        ("paths", ("/a/{*}",), request("/a/"), False),
        ("paths", ("/a/{*}/c",), request("/a/b.x/c"), True),
        ("paths", ("/a/{**}",), request("/a/b/c"), True),
        ("paths", ("/a/{**}",), request("/a/"), True),
        ("paths", ("/a/{**}",), request("/b/c"), False),
        ("paths", ("/{*}/b/{**}/x.css",), request("/a/b/c/d/x.css"), True),
        ("paths", ("/{*}.x",), request("/axx"), False),
        ("ports", (8080,), request(), True),
        ("ports", (80,), request(), False),
    ],
)
def test_operations(field: str, value: tuple[object, ...], asked: object, expected: bool) -> None:
    seen = facts(asked)  # type: ignore[arg-type]
    assert compile_operation(Operation(**{field: value}))(seen) is expected  # type: ignore[arg-type]
    assert compile_operation(Operation(**{f"not_{field}": value}))(seen) is not expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("request.headers[X-Role]", "admin", True),
        ("request.headers[x-role]", "user", False),
        ("request.headers[x-none]", "*", False),
        ("request.headers[x-empty]", "*", True),
        ("request.headers[x-empty]", "", True),
        ("request.headers[:authority]", "web", True),
        ("source.ip", "10.0.0.0/8", True),
        ("source.ip", "10.0.0.2", False),
        ("remote.ip", "192.168.1.1", True),
        ("source.namespace", "default", True),
        ("source.principal", "*/sa/sleep", True),
        ("source.serviceAccount", "sleep", True),
        ("request.auth.principal", "https://issuer/jo", True),
        ("request.auth.principal", "https://issuer/*", True),
        ("request.auth.audiences", "b", True),
        ("request.auth.presenter", "app", True),
        ("request.auth.claims[scope]", "write", True),
        ("request.auth.claims[scope]", "read write", True),
        ("request.auth.claims[nested][roles]", "admin", True),
        ("request.auth.claims[nested][level]", "3", True),
        ("request.auth.claims[nested][on]", "true", True),
        ("request.auth.claims[nested]", "*", False),
        ("request.auth.claims[none][x]", "*", False),
        ("destination.ip", "10.0.1.1", True),
        ("destination.port", "8080", True),
        ("connection.sni", "*.example", True),
    ],
)
def test_conditions(key: str, value: str, expected: bool) -> None:
    seen = facts(request(x_role="admin", x_empty=""), claims=CLAIMS, remote_ip=ip("192.168.1.1"), sni="web.example")
    assert compile_condition(Condition(key, (value,)), "default")(seen) is expected
    assert compile_condition(Condition(key, (), (value,)), "default")(seen) is not expected


@pytest.mark.parametrize(
    "condition",
    [
        Condition("unknown.key", ("x",)),
        Condition("request.headers", ("x",)),
        Condition("request.headers[a][b]", ("x",)),
        Condition("source.ip", ("here",)),
        Condition("destination.port", ("http",)),
    ],
    ids=["unknown", "no name", "two names", "no address", "no port"],
)
def test_what_cannot_be_judged(condition: Condition) -> None:
    with pytest.raises(CannotJudge):
        compile_condition(condition, "default")


def test_texts_of_a_claim() -> None:
    assert claim_texts({"a": {"b": ["c", 1, None]}}, ("a", "b")) == ["c"]
    assert claim_texts({"a": None}, ("a",)) == ()
