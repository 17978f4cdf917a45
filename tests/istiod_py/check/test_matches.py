"""Matches of routes: never reached, taken by others, beyond what our proxies can follow."""

from __future__ import annotations

import pytest

from tests.support.checks import findings

HEAD = "apiVersion: gateway.networking.k8s.io/v1\nkind: {}\nmetadata: {{name: {}, namespace: shop}}\nspec:\n"
TO_CART = "backendRefs: [{name: cart, port: 80}]"


def route(rules: str, name: str = "r", more: str = "", kind: str = "HTTPRoute") -> str:
    parents = "  parentRefs: [{group: '', kind: Service, name: cart}]\n"
    return f"{HEAD.format(kind, name)}{parents}{more}  rules: {rules}\n"


def rule(match: str) -> str:
    return f"{{matches: [{match}], {TO_CART}}}"


A, B = rule("{path: {value: /a}}"), rule("{path: {value: /b}}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(route(f"[{A}, {B}]"), [], id="different matches"),
        pytest.param(
            route(f"[{A}, {A}]"),
            [
                "6:84: warning HM411: HTTPRoute shop/r has this match in an earlier rule, which takes all it matches; "
                "remove one, or put its backends together"
            ],
            id="a match twice",
        ),
        pytest.param(f"{route(f'[{A}]')}---\n{route(f'[{B}]', 's')}", [], id="two routes"),
        pytest.param(
            f"{route(f'[{A}]')}---\n{route(f'[{B}, {A}]', 's')}",
            [
                "13:84: warning HM417: HTTPRoute shop/s has a match that HTTPRoute shop/r, which is older, has too and "
                "takes; match something else, or put both into one route"
            ],
            id="two routes with one match",
        ),
        pytest.param(
            route(f"[{A}]", more="  hostnames: [a.b]\n"),
            [
                "1:1: warning HM415: HTTPRoute shop/r names hosts, which do not count where a route is attached to a "
                "Service; remove 'hostnames', or match the header Host"
            ],
            id="hosts",
        ),
    ],
)
def test_matches(text: str, expected: list[str]) -> None:
    assert findings(text, waypoint=True) == expected


LONG = "'((a{1000}){1000}){1000}'"


@pytest.mark.parametrize(
    "match",
    [
        f"{{path: {{type: RegularExpression, value: {LONG}}}}}",
        f"{{headers: [{{name: x, type: RegularExpression, value: {LONG}}}]}}",
        f"{{queryParams: [{{name: x, type: RegularExpression, value: {LONG}}}]}}",
    ],
)
def test_an_expression_that_no_proxy_can_follow(match: str) -> None:
    [found] = findings(route(f"[{rule(match)}]"), waypoint=True)
    assert found.startswith("6:11: error HM414: HTTPRoute shop/r matches by '((a{1000})")


def test_an_expression_for_a_method() -> None:
    match = f"{{method: {{type: RegularExpression, service: {LONG}, method: 'a.*'}}}}"
    [found] = findings(route(f"[{rule(match)}]", kind="GRPCRoute"), waypoint=True)
    assert found.startswith("6:11: error HM414: GRPCRoute shop/r matches by ")


def test_expressions_that_are_fine() -> None:
    match = "{path: {type: RegularExpression, value: '/v[0-9]+/.*'}}"
    assert findings(route(f"[{rule(match)}]"), waypoint=True) == []
