"""Policies as filters: their order, what each kind of action becomes, and what cannot be judged."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.rbac import http_filters, network_filters
from istiod_py.envoy.rbac_rules import Judge
from mesh_py.manifests.security import Action, AuthorizationPolicy, Operation, Rule
from tests.istiod_py.envoy.meshes import policy

GET = Rule(to=(Operation(methods=("GET",)),))
PORT = Rule(to=(Operation(ports=(80,)),))
DRY: dict[str, Any] = {"annotations": {"istio.io/dry-run": "true"}}


def shown(*policies: AuthorizationPolicy, http: bool = True) -> list[tuple[str, list[str]]]:
    """Each filter: what it does, and the rules it has."""
    found = http_filters(policies, Judge()) if http else network_filters(policies, Judge())
    rules = [one["typed_config"]["rules"] for one in found]
    return [(one["action"], list(one["policies"])) for one in rules]


def test_denials_come_first() -> None:
    allow, deny = policy(GET, name="a"), policy(PORT, name="d", action=Action.DENY)
    name = "ns[default]-policy[{}]-rule[0]"
    assert shown(allow, deny) == [("DENY", [name.format("d")]), ("ALLOW", [name.format("a")])]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param((), [], id="none"),
        pytest.param((policy(),), [("ALLOW", [])], id="ALLOW without rules lets nobody in"),
        pytest.param((policy(action=Action.DENY),), [("DENY", [])], id="DENY without rules denies nobody"),
        pytest.param((policy(GET, action=Action.AUDIT),), [], id="AUDIT"),
        pytest.param(
            (policy(GET, action=Action.CUSTOM),),
            [("DENY", ["ns[default]-policy[policy]-rule[0]"])],
            id="CUSTOM asks nobody, so nobody passes",
        ),
    ],
)
def test_actions(written: tuple[AuthorizationPolicy, ...], expected: list[Any]) -> None:
    assert shown(*written) == expected


def test_a_plain_connection_cannot_be_let_in_for_its_method_but_can_be_kept_out() -> None:
    assert shown(policy(GET), http=False) == [("ALLOW", [])]
    [(_, rules)] = shown(policy(GET, action=Action.DENY), http=False)
    assert len(rules) == 1


def test_a_dry_run_is_a_shadow() -> None:
    [found] = http_filters([policy(GET, **DRY)], Judge())
    config = found["typed_config"]
    assert "rules" not in config
    assert config["shadow_rules"]["action"] == "ALLOW"
    assert config["shadow_rules_stat_prefix"] == "istio_dry_run_allow_"


def test_a_network_filter_has_a_name_for_its_counters() -> None:
    [found] = network_filters([policy(PORT)], Judge())
    assert found["typed_config"]["stat_prefix"] == "tcp."
