"""String matchers (hbone-controlplane 4.5) and the names of policies."""

from __future__ import annotations

import pytest

from mesh_py.model.authorization import Action, MatchKind, Policy, Scope, StringMatch


@pytest.mark.parametrize(
    ("kind", "value", "hit", "miss", "empty"),
    [
        pytest.param(MatchKind.EXACT, "abc", "abc", "abcd", False, id="exact"),
        pytest.param(MatchKind.PREFIX, "abc", "abcd", "zabc", False, id="prefix"),
        pytest.param(MatchKind.SUFFIX, "abc", "zabc", "abcd", False, id="suffix"),
        pytest.param(MatchKind.PRESENCE, "", "x", "", False, id="presence"),
        pytest.param(MatchKind.EXACT, "", "", "x", True, id="exactly nothing"),
    ],
)
def test_string_matchers(kind: MatchKind, value: str, hit: str, miss: str, empty: bool) -> None:
    matcher = StringMatch(kind, value)
    assert matcher.matches(hit)
    assert not matcher.matches(miss)
    assert matcher.matches("") is empty


def test_a_policy_is_known_by_namespace_and_name() -> None:
    assert Policy("p", "ns", Scope.GLOBAL, Action.ALLOW).key == "ns/p"
