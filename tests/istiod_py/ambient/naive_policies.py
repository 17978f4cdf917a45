"""What an AuthorizationPolicy means for a connection, as its documentation says it: slow, plain, and written apart from
the conversion that it judges.

Of what only layer 7 knows a caller says whether it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mesh_py.manifests.security import Action
from mesh_py.model.address import Cidr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesh_py.manifests.security import AuthorizationPolicy, Condition, Operation, Rule, Source
    from mesh_py.policy.match import ConnectionFacts

Value = TypeVar("Value")


def is_allowed(policy: AuthorizationPolicy, facts: ConnectionFacts, layer_7: bool) -> bool:
    """Whether a connection passes, if this policy is the only one."""
    matches = any(rule_matches(rule, policy, facts, layer_7) for rule in policy.rules)
    return matches if policy.action is Action.ALLOW else not matches


def rule_matches(rule: Rule, policy: AuthorizationPolicy, facts: ConnectionFacts, layer_7: bool) -> bool:
    """Any source, any operation, all conditions; what is not given matches always."""
    sources = [source_matches(one, policy.metadata.namespace, facts, layer_7) for one in rule.from_]
    operations = [operation_matches(one, facts, layer_7) for one in rule.to]
    conditions = [condition_matches(one, facts, layer_7) for one in rule.when]
    return (not sources or any(sources)) and (not operations or any(operations)) and all(conditions)


def source_matches(source: Source, namespace: str, facts: ConnectionFacts, layer_7: bool) -> bool:
    if source.layer_7 and not layer_7:
        return False
    who = facts.identity
    account = f"{who.namespace}/{who.service_account}" if who else ""

    def is_account(name: str) -> bool:
        return account == (name if "/" in name else f"{namespace}/{name}")

    return all(
        (
            holds(source.principals, source.not_principals, lambda one: like(one, who.principal if who else "")),
            holds(source.namespaces, source.not_namespaces, lambda one: like(one, who.namespace if who else "")),
            holds(source.service_accounts, source.not_service_accounts, is_account),
            holds(source.ip_blocks, source.not_ip_blocks, lambda one: one.contains(facts.source_ip)),
        )
    )


def operation_matches(operation: Operation, facts: ConnectionFacts, layer_7: bool) -> bool:
    if operation.layer_7 and not layer_7:
        return False
    return holds(operation.ports, operation.not_ports, lambda one: one == facts.destination_port)


def condition_matches(condition: Condition, facts: ConnectionFacts, layer_7: bool) -> bool:
    who = facts.identity
    compare: dict[str, Callable[[str], bool]] = {
        "source.ip": lambda one: Cidr.parse(one).contains(facts.source_ip),
        "source.namespace": lambda one: like(one, who.namespace if who else ""),
        "source.principal": lambda one: like(one, who.principal if who else ""),
        "destination.ip": lambda one: Cidr.parse(one).contains(facts.destination_ip),
        "destination.port": lambda one: int(one) == facts.destination_port,
    }
    if condition.key not in compare:
        return layer_7
    return holds(condition.values, condition.not_values, compare[condition.key])


def holds(positive: Sequence[Value], negative: Sequence[Value], matches: Callable[[Value], bool]) -> bool:
    """Any of the positive values, where there are any, and none of the negative ones."""
    return (not positive or any(map(matches, positive))) and not any(map(matches, negative))


def like(pattern: str, text: str) -> bool:
    """`*` is anything but nothing, `*x` ends so, `x*` begins so."""
    if pattern == "*":
        return text != ""
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
