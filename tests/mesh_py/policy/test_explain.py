"""Explanations: the rule, the clause, and the values that decided."""

from __future__ import annotations

import pytest

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
from mesh_py.policy.explain import explain
from mesh_py.policy.match import ConnectionFacts
from mesh_py.policy.rbac import PolicySet, authorize, compile_policy
from tests.support.world import ip

FACTS = ConnectionFacts(ip("10.0.0.1"), ip("10.0.1.1"), 80, SpiffeId("td", "a", "b"))
EVERYTHING = Match(
    principals=(StringMatch(MatchKind.PRESENCE),),
    namespaces=(StringMatch(MatchKind.EXACT, "a"),),
    not_service_accounts=(ServiceAccountMatch("x", "y"),),
    source_ips=(Cidr.parse("10.0.0.0/8"),),
    not_destination_ips=(Cidr.parse("11.0.0.0/8"),),
    destination_ports=(80,),
)
PORT_81 = Match(destination_ports=(81,))


def explained(action: Action, *rules: Rule, facts: ConnectionFacts = FACTS) -> str:
    policies = PolicySet((compile_policy(Policy("p", "ns", Scope.NAMESPACE, action, rules)),))
    return explain(authorize(policies, facts), policies, facts)


@pytest.mark.parametrize(
    ("action", "rules", "expected"),
    [
        pytest.param(
            Action.DENY,
            (((EVERYTHING,),),),
            "explicitly denied by: ns/p (rule 0, clause 0: principal td/ns/a/sa/b, namespace a, service account a/b, "
            "source ip 10.0.0.1, destination ip 10.0.1.1, destination port 80)",
            id="every value that was looked at",
        ),
        pytest.param(
            Action.ALLOW,
            (((PORT_81,),), ((Match(destination_ports=(80,)),),)),
            "allowed by: ns/p (rule 1, clause 0: destination port 80)",
            id="the rule that allowed",
        ),
        pytest.param(
            Action.ALLOW, ((),), "allowed by: ns/p (rule 0, which has no clauses)", id="a rule without clauses"
        ),
        pytest.param(
            Action.ALLOW, (((),),), "allowed by: ns/p (rule 0, clause 0: no conditions)", id="a clause without matches"
        ),
        pytest.param(
            Action.ALLOW,
            (((EVERYTHING,), (PORT_81,)), ((PORT_81,),)),
            "allow policies exist, but none allowed (ns/p rule 0 clause 1: destination port 80, "
            "rule 1 clause 0: destination port 80)",
            id="where each rule failed",
        ),
        pytest.param(
            Action.ALLOW, (), "allow policies exist, but none allowed (ns/p has no rules)", id="no rules at all"
        ),
        pytest.param(Action.DENY, (), "no allow policies, allow", id="nothing to tell"),
    ],
)
def test_lines(action: Action, rules: tuple[Rule, ...], expected: str) -> None:
    assert explained(action, *rules) == expected


def test_plaintext_has_none_of_the_names() -> None:
    plaintext = FACTS._replace(identity=None)
    rule: Rule = ((Match(not_principals=(StringMatch(MatchKind.PRESENCE),)),),)
    assert explained(Action.DENY, rule, facts=plaintext) == (
        "explicitly denied by: ns/p (rule 0, clause 0: principal none)"
    )


def test_a_missing_policy_needs_no_more_words() -> None:
    policies = PolicySet((), ("ns/late",))
    assert explain(authorize(policies, FACTS), policies, FACTS) == "policy not known: ns/late"
