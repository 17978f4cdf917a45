"""AuthorizationPolicy for layer 4, row by row (hbone-controlplane 4.7), and whom the outcome lets in."""

from __future__ import annotations

from typing import Any

import pytest

from hbone_py.identity import SpiffeId
from istiod_py.ambient.authorization import convert, string_match, unsupported
from istiod_py.ambient.options import AmbientOptions
from mesh_py.manifests.references import TargetReference
from mesh_py.manifests.security import Action, Condition, Operation, Rule, Source
from mesh_py.model.address import Cidr
from mesh_py.model.authorization import Action as Told
from mesh_py.model.authorization import Match, MatchKind, Policy, Scope, ServiceAccountMatch, StringMatch
from mesh_py.policy.match import ConnectionFacts
from mesh_py.policy.rbac import PolicySet, authorize, compile_policy
from tests.istiod_py.ambient.folder import ROOT, authorization
from tests.support.world import ip

EXACT_A = (StringMatch(MatchKind.EXACT, "a"),)
NO_RULES = AmbientOptions()


def told(*rules: Rule, **fields: Any) -> Policy:
    policy = convert(authorization("p", *rules, **fields), NO_RULES).policy
    assert policy is not None
    return policy


def codes(*rules: Rule, **fields: Any) -> list[str]:
    return [one.code for one in convert(authorization("p", *rules, **fields), NO_RULES).notices]


def admits(policy: Policy, namespace: str | None, port: int = 80) -> bool:
    identity = None if namespace is None else SpiffeId("cluster.local", namespace, "sa")
    facts = ConnectionFacts(ip("10.0.0.1"), ip("10.0.1.1"), port, identity)
    return authorize(PolicySet((compile_policy(policy),), ()), facts).allowed


# Who it is for, and what it does.


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"namespace": ROOT}, Scope.GLOBAL, id="no selector, root namespace"),
        pytest.param({}, Scope.NAMESPACE, id="no selector, other namespace"),
        pytest.param({"selector": {}}, Scope.NAMESPACE, id="an empty selector is none"),
        pytest.param({"selector": {"app": "web"}}, Scope.WORKLOAD_SELECTOR, id="selector"),
        pytest.param({"selector": {"app": "web"}, "namespace": ROOT}, Scope.WORKLOAD_SELECTOR, id="selector in root"),
    ],
)
def test_scopes(fields: dict[str, Any], expected: Scope) -> None:
    assert told(**fields).scope is expected


@pytest.mark.parametrize(("action", "expected"), [(Action.ALLOW, Told.ALLOW), (Action.DENY, Told.DENY)])
def test_actions(action: Action, expected: Told) -> None:
    assert told(action=action).action is expected


@pytest.mark.parametrize("action", [Action.AUDIT, Action.CUSTOM])
def test_actions_that_are_not_sent(action: Action) -> None:
    converted = convert(authorization(action=action), NO_RULES)
    assert converted.policy is None
    assert [one.code for one in converted.notices] == ["policy-not-sent"]
    assert action.value in converted.notices[0].what


def test_a_policy_with_targets_is_for_waypoints_alone() -> None:
    assert convert(authorization(target_refs=(TargetReference("Service", "web"),)), NO_RULES) == (None, ())


def test_a_dry_run_is_sent_only_where_that_is_switched_on() -> None:
    dry = authorization(annotations={"istio.io/dry-run": "true"})
    assert convert(dry, NO_RULES).policy is None
    assert [one.code for one in convert(dry, NO_RULES).notices] == ["policy-not-sent"]
    sent = convert(dry, AmbientOptions(send_dry_run=True)).policy
    assert sent is not None
    assert sent.dry_run


# Rules, clauses, matches.


def test_a_rule_without_parts_matches_all_and_no_rules_match_nothing() -> None:
    assert told(Rule()).rules == ((),)
    assert told().rules == ()
    assert admits(told(Rule()), None)
    assert not admits(told(), "a")


def test_entries_of_to_and_from_are_alternatives_and_their_kinds_must_both_hold() -> None:
    rule = Rule(
        (Source(namespaces=("a",)), Source(namespaces=("b",))), (Operation(ports=(80,)), Operation(ports=(81,)))
    )
    policy = told(rule)
    assert policy.rules == (
        (
            (Match(destination_ports=(80,)), Match(destination_ports=(81,))),
            (Match(namespaces=EXACT_A), Match(namespaces=(StringMatch(MatchKind.EXACT, "b"),))),
        ),
    )
    assert [admits(policy, name, port) for name, port in (("a", 80), ("b", 81), ("c", 80), ("a", 82))] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Source(namespaces=("a",)), Match(namespaces=EXACT_A)),
        (Source(not_namespaces=("a",)), Match(not_namespaces=EXACT_A)),
        (Source(principals=("a",)), Match(principals=EXACT_A)),
        (Source(not_principals=("a",)), Match(not_principals=EXACT_A)),
        (Source(ip_blocks=(Cidr.parse("10.0.0.0/8"),)), Match(source_ips=(Cidr.parse("10.0.0.0/8"),))),
        (Source(not_ip_blocks=(Cidr.parse("::1"),)), Match(not_source_ips=(Cidr.parse("::1/128"),))),
        (
            Source(service_accounts=("front/web", "cart")),
            Match(service_accounts=(ServiceAccountMatch("front", "web"), ServiceAccountMatch("shop", "cart"))),
        ),
        (Source(not_service_accounts=("web",)), Match(not_service_accounts=(ServiceAccountMatch("shop", "web"),))),
    ],
    ids=str,
)
def test_sources(source: Source, expected: Match) -> None:
    assert told(Rule(from_=(source,))).rules == (((expected,),),)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Operation(ports=(80, 81)), Match(destination_ports=(80, 81))),
        (Operation(not_ports=(80,)), Match(not_destination_ports=(80,))),
    ],
    ids=str,
)
def test_operations(operation: Operation, expected: Match) -> None:
    assert told(Rule(to=(operation,))).rules == (((expected,),),)


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("source.ip", ("10.0.0.0/8",), Match(source_ips=(Cidr.parse("10.0.0.0/8"),))),
        ("source.namespace", ("a",), Match(namespaces=EXACT_A)),
        ("source.principal", ("a",), Match(principals=EXACT_A)),
        ("destination.ip", ("10.1.2.3",), Match(destination_ips=(Cidr.parse("10.1.2.3/32"),))),
        ("destination.port", ("80", "81"), Match(destination_ports=(80, 81))),
    ],
)
def test_conditions_at_layer_4(key: str, values: tuple[str, ...], expected: Match) -> None:
    assert told(Rule(when=(Condition(key, values),))).rules == (((expected,),),)
    [[[negative]]] = told(Rule(when=(Condition(key, not_values=values),))).rules
    assert negative != expected
    assert negative != Match()


def test_each_condition_is_a_clause_of_its_own() -> None:
    rule = Rule(when=(Condition("source.namespace", ("a",)), Condition("destination.port", ("80",))))
    assert told(rule).rules == (((Match(namespaces=EXACT_A),), (Match(destination_ports=(80,)),)),)


@pytest.mark.parametrize("values", [("65616",), ("0",), ("http",)])
def test_a_port_that_is_none_is_passed_over(values: tuple[str, ...]) -> None:
    assert told(Rule(when=(Condition("destination.port", values),))).rules == (((Match(),),),)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("*", MatchKind.PRESENCE, ""),
        ("*.svc", MatchKind.SUFFIX, ".svc"),
        ("cluster.local/ns/*", MatchKind.PREFIX, "cluster.local/ns/"),
        ("cluster.local/ns/a/sa/b", MatchKind.EXACT, "cluster.local/ns/a/sa/b"),
        ("a*b", MatchKind.EXACT, "a*b"),
    ],
)
def test_forms_of_values(text: str, kind: MatchKind, value: str) -> None:
    assert string_match(text) == StringMatch(kind, value)


# What only layer 7 can judge.

OUTSIDE = (Cidr.parse("192.0.2.1"),)
LAYER_7 = {
    "hosts": Rule(to=(Operation(hosts=("x",)),)),
    "notHosts": Rule(to=(Operation(not_hosts=("x",)),)),
    "methods": Rule(to=(Operation(methods=("GET",)),)),
    "notMethods": Rule(to=(Operation(not_methods=("GET",)),)),
    "paths": Rule(to=(Operation(paths=("/x",)),)),
    "notPaths": Rule(to=(Operation(not_paths=("/x",)),)),
    "remoteIpBlocks": Rule(from_=(Source(remote_ip_blocks=OUTSIDE),)),
    "notRemoteIpBlocks": Rule(from_=(Source(not_remote_ip_blocks=OUTSIDE),)),
    "requestPrincipals": Rule(from_=(Source(request_principals=("x",)),)),
    "notRequestPrincipals": Rule(from_=(Source(not_request_principals=("x",)),)),
    **{
        key: Rule(when=(Condition(key, ("x",)),))
        for key in ("request.headers[x]", "request.auth.claims[iss]", "remote.ip", "connection.sni")
    },
    "source.serviceAccount": Rule(when=(Condition("source.serviceAccount", ("x",)),)),
}


@pytest.mark.parametrize(("name", "rule"), LAYER_7.items(), ids=LAYER_7.keys())
def test_an_allow_rule_with_a_part_for_layer_7_is_left_out_whole(name: str, rule: Rule) -> None:
    assert unsupported(rule) == (name,)
    assert told(rule).rules == ()
    assert told(rule, Rule(from_=(Source(namespaces=("a",)),))).rules == (((Match(namespaces=EXACT_A),),),)
    assert codes(rule) == ["policy-allows-less"]


@pytest.mark.parametrize(("name", "rule"), LAYER_7.items(), ids=LAYER_7.keys())
def test_a_deny_rule_of_nothing_else_is_dead(name: str, rule: Rule) -> None:
    policy = told(rule, action=Action.DENY)
    assert policy.rules == (((Match(),),),)
    assert admits(policy, "a")
    assert codes(rule, action=Action.DENY) == ["policy-without-effect"]


def test_an_allow_policy_left_without_rules_denies_all() -> None:
    assert not admits(told(Rule((Source(namespaces=("a",)),), (Operation(methods=("GET",)),))), "a")


def test_a_deny_rule_loses_its_part_for_layer_7_and_denies_more() -> None:
    rule = Rule((Source(namespaces=("a",), request_principals=("x",)),), (Operation(ports=(80,), methods=("POST",)),))
    policy = told(rule, action=Action.DENY)
    assert policy.rules == (((Match(destination_ports=(80,)),), (Match(namespaces=EXACT_A),)),)
    assert not admits(policy, "a", 80)
    assert admits(policy, "a", 81)
    [remark] = convert(authorization("p", rule, action=Action.DENY), NO_RULES).notices
    assert remark.code == "policy-denies-more"
    assert remark.what.startswith("methods, requestPrincipals:")


def test_a_deny_rule_whose_one_clause_is_emptied_is_dead_whatever_the_others_say() -> None:
    rule = Rule((Source(namespaces=("a",)),), (Operation(methods=("POST",)),))
    policy = told(rule, action=Action.DENY)
    assert policy.rules == (((Match(),), (Match(namespaces=EXACT_A),)),)
    assert admits(policy, "a")
    assert codes(rule, action=Action.DENY) == ["policy-without-effect"]
