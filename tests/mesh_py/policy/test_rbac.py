"""The verdict: shapes of policies, the order of decisions, what decided (hbone-controlplane 4.3, 4.4, 4.8)."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py.identity import SpiffeId
from mesh_py.model.address import Cidr
from mesh_py.model.authorization import (
    Action,
    Match,
    MatchKind,
    Policy,
    Rule,
    Scope,
    ServiceAccountMatch,
    StringMatch,
)
from mesh_py.policy.match import ConnectionFacts
from mesh_py.policy.rbac import PolicySet, Verdict, authorize, compile_policy
from tests.mesh_py.policy.naive_rbac import is_allowed
from tests.support.world import ip

Value = TypeVar("Value")


def facts(namespace: str | None = "a", port: int = 80) -> ConnectionFacts:
    identity = None if namespace is None else SpiffeId("td", namespace, "sa")
    return ConnectionFacts(ip("10.0.0.1"), ip("10.0.1.1"), port, identity)


def policy(name: str, action: Action, *rules: Rule, dry_run: bool = False) -> Policy:
    return Policy(name, "ns", Scope.NAMESPACE, action, rules, dry_run)


def judge(*policies: Policy, missing: tuple[str, ...] = (), on: ConnectionFacts | None = None) -> Verdict:
    return authorize(PolicySet(tuple(map(compile_policy, policies)), missing), on or facts())


def namespace(name: str) -> Match:
    return Match(namespaces=(StringMatch(MatchKind.EXACT, name),))


PORT_80 = Match(destination_ports=(80,))
HIT: Rule = ((PORT_80,),)
MISS: Rule = ((Match(destination_ports=(81,)),),)
STRICT = Match(not_principals=(StringMatch(MatchKind.PRESENCE),))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param(((((Match(),),)),), False, id="a clause whose only match is empty"),
        pytest.param((((),),), True, id="a clause without matches"),
        pytest.param(((),), True, id="a rule without clauses"),
        pytest.param((), False, id="a policy without rules"),
        pytest.param(((((Match(), PORT_80),)),), True, id="an empty match beside one that holds"),
    ],
)
def test_empty_shapes(rules: tuple[Rule, ...], expected: bool) -> None:
    assert judge(policy("p", Action.ALLOW, *rules)).allowed is expected
    assert judge(policy("p", Action.DENY, *rules)).allowed is not expected


@pytest.mark.parametrize(
    ("peer", "port", "expected"),
    [("a", 80, True), ("b", 80, True), ("bad", 80, False), ("b", 12345, False), (None, 80, False)],
)
def test_nesting(peer: str | None, port: int, expected: bool) -> None:
    rule: Rule = ((namespace("a"), namespace("b")), (PORT_80,))
    assert judge(policy("p", Action.ALLOW, rule), on=facts(peer, port)).allowed is expected


@pytest.mark.parametrize(("peer", "expected"), [("a", True), ("b", True), ("c", False)])
def test_rules_are_alternatives(peer: str, expected: bool) -> None:
    either = policy("p", Action.ALLOW, ((namespace("a"),),), ((namespace("b"),),))
    assert judge(either, on=facts(peer)).allowed is expected


ALLOW_HIT, ALLOW_MISS = policy("allow-hit", Action.ALLOW, HIT), policy("allow-miss", Action.ALLOW, MISS)
DENY_HIT, DENY_MISS = policy("deny-hit", Action.DENY, HIT), policy("deny-miss", Action.DENY, MISS)
DRY_DENY = policy("dry-deny", Action.DENY, HIT, dry_run=True)
DRY_DENY_MISS = policy("dry-deny-miss", Action.DENY, MISS, dry_run=True)
DRY_ALLOW = policy("dry-allow", Action.ALLOW, HIT, dry_run=True)
DRY_ALLOW_MISS = policy("dry-allow-miss", Action.ALLOW, MISS, dry_run=True)
NONE_ALLOWED = "allow policies exist, but none allowed"
NO_ALLOW = "no allow policies, allow"


@pytest.mark.parametrize(
    ("policies", "allowed", "reason", "notes"),
    [
        pytest.param((), True, NO_ALLOW, (), id="no policies"),
        pytest.param((DENY_HIT,), False, "explicitly denied by: ns/deny-hit", (), id="deny"),
        pytest.param((ALLOW_HIT, DENY_HIT), False, "explicitly denied by: ns/deny-hit", (), id="deny before allow"),
        pytest.param((DENY_MISS,), True, NO_ALLOW, (), id="deny that does not match"),
        pytest.param((DENY_MISS, ALLOW_MISS, ALLOW_HIT), True, "allowed by: ns/allow-hit", (), id="allow"),
        pytest.param((ALLOW_MISS,), False, NONE_ALLOWED, (), id="allow that does not match"),
        pytest.param((policy("none", Action.ALLOW),), False, NONE_ALLOWED, (), id="allow nothing"),
        pytest.param((DRY_DENY,), True, NO_ALLOW, ("dry-run: deny policy match ns/dry-deny",), id="dry-run deny"),
        pytest.param((DRY_DENY_MISS,), True, NO_ALLOW, (), id="dry-run deny that does not match"),
        pytest.param((DRY_ALLOW,), True, NO_ALLOW, ("dry-run: allow policy match ns/dry-allow",), id="dry-run allow"),
        pytest.param(
            (DRY_ALLOW_MISS,), True, NO_ALLOW, ("dry-run: no allow policies matched",), id="dry-run allow would deny"
        ),
        pytest.param(
            (DENY_HIT, DRY_ALLOW),
            False,
            "explicitly denied by: ns/deny-hit",
            ("dry-run: allow policy match ns/dry-allow",),
            id="a dry run changes no verdict",
        ),
    ],
)
def test_the_order_of_decisions(
    policies: tuple[Policy, ...], allowed: bool, reason: str, notes: tuple[str, ...]
) -> None:
    verdict = judge(*policies)
    assert (verdict.allowed, verdict.reason, verdict.notes) == (allowed, reason, notes)


@pytest.mark.parametrize(
    ("rules", "rule", "clause"),
    [
        pytest.param((MISS, HIT), 1, 0, id="the second rule"),
        pytest.param((((PORT_80,), (PORT_80,)),), 0, 1, id="the last clause completes a rule"),
        pytest.param(((),), 0, None, id="a rule without clauses"),
    ],
)
def test_a_verdict_names_rule_and_clause(rules: tuple[Rule, ...], rule: int, clause: int | None) -> None:
    allow = policy("p", Action.ALLOW, *rules)
    verdict = judge(allow)
    assert (verdict.policy, verdict.rule, verdict.clause) == (allow, rule, clause)


def test_a_missing_policy_denies_and_is_named() -> None:
    verdict = judge(ALLOW_HIT, missing=("ns/late", "ns/later"))
    assert verdict == Verdict(False, "policy not known: ns/late, ns/later", missing=("ns/late", "ns/later"))


def test_a_known_deny_need_not_wait_for_a_missing_one() -> None:
    verdict = judge(DENY_HIT, missing=("ns/late",))
    assert (verdict.reason, verdict.missing) == ("explicitly denied by: ns/deny-hit", ())


@pytest.mark.parametrize(("peer", "allowed"), [("a", True), (None, False)])
def test_strict_mutual_tls_is_a_deny_of_those_without_a_principal(peer: str | None, allowed: bool) -> None:
    assert judge(policy("strict", Action.DENY, ((STRICT,),)), on=facts(peer)).allowed is allowed


# Words that meet each other often, so that matches hold and fail in equal parts.
words = st.sampled_from(["", "a", "ab", "b"])
addresses = st.sampled_from([ip(text) for text in ("10.0.0.1", "10.0.1.1", "10.1.0.1", "fd00::1", "fd01::1")])
blocks = st.sampled_from(
    [Cidr.parse(t) for t in ("10.0.0.0/24", "10.0.0.0/8", "10.0.0.1/32", "0.0.0.0/0", "fd00::/16")]
)
port_numbers = st.sampled_from([80, 81, 443])
strings = st.builds(StringMatch, st.sampled_from(MatchKind), words)
principal_texts = st.sampled_from(["td/ns/a/sa/b", "td/ns/ab/sa/b", "td/ns/a", "/sa/b", "td", ""])
principals = st.builds(StringMatch, st.sampled_from(MatchKind), principal_texts)
accounts = st.builds(ServiceAccountMatch, words, words)


def few(values: st.SearchStrategy[Value], most: int = 2) -> st.SearchStrategy[tuple[Value, ...]]:
    return st.lists(values, max_size=most).map(tuple)


def rarely(values: st.SearchStrategy[Value]) -> st.SearchStrategy[tuple[Value, ...]]:
    return st.one_of(st.just(()), st.just(()), few(values))


matches = st.builds(
    Match,
    namespaces=rarely(strings),
    not_namespaces=rarely(strings),
    service_accounts=rarely(accounts),
    not_service_accounts=rarely(accounts),
    principals=rarely(principals),
    not_principals=rarely(principals),
    source_ips=rarely(blocks),
    not_source_ips=rarely(blocks),
    destination_ips=rarely(blocks),
    not_destination_ips=rarely(blocks),
    destination_ports=rarely(port_numbers),
    not_destination_ports=rarely(port_numbers),
)
policies = st.builds(
    Policy,
    name=st.just("p"),
    namespace=st.just("ns"),
    scope=st.just(Scope.NAMESPACE),
    action=st.sampled_from(Action),
    rules=few(few(few(matches))),
    dry_run=st.sampled_from([False, False, False, True]),
)
connections = st.builds(
    ConnectionFacts, addresses, addresses, port_numbers, st.none() | st.builds(SpiffeId, st.just("td"), words, words)
)


@given(st.lists(policies, max_size=4), connections)
def test_the_compiled_verdict_is_the_plain_one(given_policies: list[Policy], connection: ConnectionFacts) -> None:
    verdict = judge(*given_policies, on=connection)
    assert verdict.allowed is is_allowed(given_policies, connection)
    assert (verdict.policy is None) or (verdict.policy in given_policies)
