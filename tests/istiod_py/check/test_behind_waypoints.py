"""ALLOW policies that do not let the waypoint through."""

from __future__ import annotations

import pytest

from istiod_py.ambient.options import AmbientOptions
from istiod_py.check.behind_waypoints import matches
from istiod_py.check.folder_check import CheckOptions
from tests.support.checks import findings

HEAD = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\n"
COMPLAINT = (
    "1:1: warning HM313: AuthorizationPolicy shop/p does not allow waypoint shop/waypoint, through which callers come; "
    "allow cluster.local/ns/shop/sa/waypoint, and attach the callers' rules to the waypoint by targetRefs"
)
WEB = "cluster.local/ns/shop/sa/web"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(f"{{rules: [{{from: [{{source: {{principals: [{WEB}]}}}}]}}]}}", [COMPLAINT], id="a caller"),
        pytest.param("{rules: [{from: [{source: {serviceAccounts: [web]}}]}]}", [COMPLAINT], id="an account"),
        pytest.param("{rules: [{from: [{source: {serviceAccounts: [web, waypoint]}}]}]}", [], id="the waypoint, too"),
        pytest.param("{rules: [{from: [{source: {namespaces: [shop]}}]}]}", [], id="its namespace"),
        pytest.param("{rules: [{from: [{source: {principals: ['cluster.local/*']}}]}]}", [], id="its trust domain"),
        pytest.param(f"{{rules: [{{from: [{{source: {{principals: [{WEB}]}}}}]}}, {{}}]}}", [], id="everybody, too"),
        pytest.param(
            f"{{action: DENY, rules: [{{from: [{{source: {{principals: [{WEB}]}}}}]}}]}}", [], id="what is denied"
        ),
        pytest.param(
            f"{{targetRefs: [{{kind: Service, name: cart}}], rules: [{{from: [{{source: {{principals: "
            f"[{WEB}]}}}}]}}]}}",
            [],
            id="at the waypoint",
        ),
    ],
)
def test_waypoints_must_be_let_through(spec: str, expected: list[str]) -> None:
    assert findings(f"{HEAD}spec: {spec}\n", waypoint=True) == expected


def test_they_are_let_through_where_the_control_plane_does_it() -> None:
    text = f"{HEAD}spec: {{rules: [{{from: [{{source: {{serviceAccounts: [web]}}}}]}}]}}\n"
    options = CheckOptions(AmbientOptions(allow_waypoints=True))
    assert findings(text, waypoint=True, options=options) == []
    assert findings(text) == []


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "a", True),
        ("*", "", False),
        ("a*", "abc", True),
        ("*c", "abc", True),
        ("b*", "abc", False),
        ("a", "ab", False),
    ],
)
def test_how_a_policy_compares(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected
