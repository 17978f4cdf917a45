"""A verdict in one line for the log: which policy, rule and clause decided, and by which values [pure].

Slow beside `authorize`, and asked for only when a connection is refused or decisions are logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.policy.match import compile_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mesh_py.model.authorization import Clause, Match, Policy, Rule
    from mesh_py.policy.match import ConnectionFacts
    from mesh_py.policy.rbac import PolicySet, Verdict

_LOOKED_AT: tuple[tuple[str, Callable[[Match], bool], Callable[[ConnectionFacts], object]], ...] = (
    (
        "principal",
        lambda match: bool(match.principals or match.not_principals),
        lambda facts: facts.identity.principal if facts.identity else "none",
    ),
    (
        "namespace",
        lambda match: bool(match.namespaces or match.not_namespaces),
        lambda facts: facts.identity.namespace if facts.identity else "none",
    ),
    (
        "service account",
        lambda match: bool(match.service_accounts or match.not_service_accounts),
        lambda facts: f"{facts.identity.namespace}/{facts.identity.service_account}" if facts.identity else "none",
    ),
    (
        "source ip",
        lambda match: bool(match.source_ips or match.not_source_ips),
        lambda facts: facts.source_ip,
    ),
    (
        "destination ip",
        lambda match: bool(match.destination_ips or match.not_destination_ips),
        lambda facts: facts.destination_ip,
    ),
    (
        "destination port",
        lambda match: bool(match.destination_ports or match.not_destination_ports),
        lambda facts: facts.destination_port,
    ),
)


def explain(verdict: Verdict, policies: PolicySet, facts: ConnectionFacts) -> str:
    """The verdict's reason, with rule, clause and values where a policy was matched or failed to match.

    For example `explicitly denied by: shop/no-web (rule 0, clause 0: destination port 8080)`.
    """
    if verdict.policy is not None and verdict.rule is not None:
        rule = verdict.policy.rules[verdict.rule]
        if verdict.clause is None:
            return f"{verdict.reason} (rule {verdict.rule}, which has no clauses)"
        values = looked_at([match for clause in rule for match in clause], facts)
        return f"{verdict.reason} (rule {verdict.rule}, clause {verdict.clause}: {values})"
    if verdict.allowed or verdict.missing:
        return verdict.reason
    failures = (why_not(compiled.policy, facts) for compiled in policies.allow)
    return f"{verdict.reason} ({'; '.join(failures)})"


def why_not(policy: Policy, facts: ConnectionFacts) -> str:
    """Where each rule of a policy failed to match."""
    if not policy.rules:
        return f"{policy.key} has no rules"
    failures = (f"rule {index} {_failed(rule, facts)}" for index, rule in enumerate(policy.rules))
    return f"{policy.key} {', '.join(failures)}"


def _failed(rule: Rule, facts: ConnectionFacts) -> str:
    index, clause = next(_failing(rule, facts))
    return f"clause {index}: {looked_at(clause, facts)}"


def _failing(rule: Rule, facts: ConnectionFacts) -> Iterator[tuple[int, Clause]]:
    for index, (clause, test) in enumerate(zip(rule, compile_rule(rule), strict=True)):
        if not test(facts):
            yield index, clause


def looked_at(matches: Sequence[Match], facts: ConnectionFacts) -> str:
    """The values of a connection that these matches compare."""
    seen = [f"{name} {value(facts)}" for name, is_used, value in _LOOKED_AT if any(is_used(match) for match in matches)]
    return ", ".join(seen) or "no conditions"
