"""Rules of policies as permissions and principals, a row a rule."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.rbac_rules import ANY, Judge, permissions, principals
from mesh_py.manifests.security import Condition, Operation, Rule, Source
from mesh_py.model.address import Cidr

HTTP, TCP, TUNNEL = Judge(), Judge().without_requests(), Judge(by_tunnel=True)


def called(name: str) -> dict[str, Any]:
    return {"authenticated": {"principal_name": {"exact": f"spiffe://cluster.local/ns/a/sa/{name}"}}}


def by_name(regex: str) -> dict[str, Any]:
    return {"authenticated": {"principal_name": {"safe_regex": {"regex": regex}}}}


def header(name: str, **matcher: object) -> dict[str, Any]:
    return {"header": {"name": name, **({"string_match": matcher} if matcher else {"present_match": True})}}


def any_rule(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"or_rules": {"rules": list(rules)}}


def block(address: str, length: int) -> dict[str, Any]:
    return {"address_prefix": address, "prefix_len": length}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Operation(methods=("GET",)), header(":method", exact="GET")),
        (
            Operation(methods=("GET", "P*")),
            any_rule(header(":method", exact="GET"), header(":method", prefix="P")),
        ),
        (Operation(not_methods=("GET",)), {"not_rule": header(":method", exact="GET")}),
        (Operation(hosts=("*.Example.org",)), header(":authority", suffix=".Example.org", ignore_case=True)),
        (Operation(hosts=("*",)), header(":authority")),
        (Operation(paths=("/a*",)), {"url_path": {"path": {"prefix": "/a"}}}),
        (Operation(ports=(80,)), {"destination_port": 80}),
        (
            Operation(ports=(80,), methods=("GET",)),
            {"and_rules": {"rules": [header(":method", exact="GET"), {"destination_port": 80}]}},
        ),
        (Operation(), ANY),
    ],
)
def test_operations(operation: Operation, expected: dict[str, Any]) -> None:
    assert permissions(Rule(to=(operation,)), HTTP, strict=True) == expected


def test_a_path_template_is_one() -> None:
    found = permissions(Rule(to=(Operation(paths=("/a/{*}/b/{**}",)),)), HTTP, strict=True)
    assert found is not None
    assert found["uri_template"]["typed_config"]["path_template"] == "/a/*/b/**"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Source(principals=("cluster.local/ns/a/sa/b",)), called("b")),
        (Source(not_principals=("cluster.local/ns/a/sa/b",)), {"not_id": called("b")}),
        (Source(principals=("*",)), by_name(".+")),
        (Source(namespaces=("a", "b*")), {"or_ids": {"ids": [by_name(".*/ns/a/.*"), by_name(".*/ns/b.*/.*")]}}),
        (Source(service_accounts=("x.y",)), by_name(r"spiffe://.+/ns/own/sa/x\.y")),
        (Source(service_accounts=("a/x",)), by_name("spiffe://.+/ns/a/sa/x")),
        (
            Source(ip_blocks=(Cidr.parse("10.0.0.0/8"),)),
            {"direct_remote_ip": block("10.0.0.0", 8)},
        ),
        (
            Source(remote_ip_blocks=(Cidr.parse("fd00::1"),)),
            {"remote_ip": block("fd00::1", 128)},
        ),
        (Source(), ANY),
    ],
)
def test_sources(source: Source, expected: dict[str, Any]) -> None:
    assert principals(Rule(from_=(source,)), "own", HTTP, strict=True) == expected


def test_inside_a_tunnel_the_client_is_told_in_filter_state() -> None:
    source = Source(principals=("*/sa/b",), ip_blocks=(Cidr.parse("10.0.0.7"),))
    assert principals(Rule(from_=(source,)), "own", TUNNEL, strict=True) == {
        "and_ids": {
            "ids": [
                {"filter_state": {"key": "io.istio.peer_principal", "string_match": {"suffix": "/sa/b"}}},
                {
                    "filter_state": {
                        "key": "envoy.filters.listener.original_dst.remote_ip",
                        "address_match": {"ranges": [{"address_prefix": "10.0.0.7", "prefix_len": 32}]},
                    }
                },
            ]
        }
    }


def test_entries_are_alternatives_and_conditions_are_not() -> None:
    rule = Rule(
        from_=(Source(principals=("cluster.local/ns/a/sa/b",)), Source(principals=("cluster.local/ns/a/sa/c",))),
        when=(
            Condition("request.headers[x-user]", ("admin",)),
            Condition("destination.port", ("80",)),
            Condition("destination.ip", (), ("10.0.0.1",)),
            Condition("connection.sni", ("a.example",)),
        ),
    )
    assert principals(rule, "own", HTTP, strict=True) == {
        "and_ids": {"ids": [{"or_ids": {"ids": [called("b"), called("c")]}}, header("x-user", exact="admin")]}
    }
    assert permissions(rule, HTTP, strict=True) == {
        "and_rules": {
            "rules": [
                {"destination_port": 80},
                {"not_rule": {"destination_ip": {"address_prefix": "10.0.0.1", "prefix_len": 32}}},
                {"requested_server_name": {"exact": "a.example"}},
            ]
        }
    }


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(Rule(to=(Operation(methods=("GET",), ports=(80,)),)), id="a method of a plain connection"),
        pytest.param(Rule(to=(Operation(ports=(80,)),), when=(Condition("destination.labels[a]", ("b",)),)), id="key"),
        pytest.param(Rule(to=(Operation(ports=(80,)),), when=(Condition("destination.port", ("http",)),)), id="value"),
    ],
)
def test_what_cannot_be_judged_allows_nobody_and_denies_more(rule: Rule) -> None:
    assert permissions(rule, TCP, strict=True) is None
    assert permissions(rule, TCP, strict=False) == {"destination_port": 80}


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(Source(request_principals=("*",)), id="a token"),
        pytest.param(Source(not_request_principals=("*",)), id="no token"),
        pytest.param(Source(remote_ip_blocks=(Cidr.parse("10.0.0.1"),)), id="a header of a plain connection"),
    ],
)
def test_a_client_that_cannot_be_known_is_nobody_or_anybody(source: Source) -> None:
    assert principals(Rule(from_=(source,)), "own", TCP, strict=True) is None
    assert principals(Rule(from_=(source,)), "own", TCP, strict=False) == ANY
