"""The verdict for one connection, and what decided it (hbone-dataplane 3.7, hbone-controlplane 4.3) [pure].

DENY policies go first, then ALLOW policies; where there is no ALLOW policy at all, the connection is allowed.
A policy that the workload names and nobody knows yet cannot be judged: unlike ztunnel, which skips it and so
lets through what a late DENY would have stopped, we deny and say which are missing, so that the caller may
wait.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesh_py.model.authorization import Action, Policy
from mesh_py.policy.match import ConnectionFacts, Test, compile_rule

NO_ALLOW_POLICIES = "no allow policies, allow"
NONE_ALLOWED = "allow policies exist, but none allowed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a connection may pass, and why."""

    allowed: bool
    reason: str
    policy: Policy | None = None
    """The policy that decided, if one did."""
    rule: int | None = None
    """The index of its rule that matched."""
    clause: int | None = None
    """The index of the clause that completed the match; None for a rule without clauses."""
    notes: tuple[str, ...] = ()
    """What dry-run policies would have done, for the log."""
    missing: tuple[str, ...] = ()
    """Policies the workload names and nobody knows: wait for them, then keep to the denial."""


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy, and for each rule its clause tests and the verdict it gives."""

    policy: Policy
    rules: tuple[tuple[tuple[Test, ...], Verdict], ...]

    def judge(self, facts: ConnectionFacts) -> Verdict | None:
        """The verdict of the first rule that matches, None if none does."""
        for clauses, verdict in self.rules:
            for test in clauses:
                if not test(facts):
                    break
            else:
                return verdict
        return None


def compile_policy(policy: Policy) -> CompiledPolicy:
    """Make a policy ready for judging."""
    rules = ((compile_rule(rule), _verdict(policy, index)) for index, rule in enumerate(policy.rules))
    return CompiledPolicy(policy, tuple(rules))


def _verdict(policy: Policy, rule: int) -> Verdict:
    allowed = policy.action is Action.ALLOW
    reason = f"allowed by: {policy.key}" if allowed else f"explicitly denied by: {policy.key}"
    clauses = len(policy.rules[rule])
    return Verdict(allowed, reason, policy, rule, clauses - 1 if clauses else None)


class PolicySet:
    """The policies that apply to a workload, sorted by what they do."""

    __slots__ = ("allow", "deny", "dry_allow", "dry_deny", "missing")

    def __init__(self, policies: tuple[CompiledPolicy, ...], missing: tuple[str, ...] = ()) -> None:
        self.deny = _select(policies, Action.DENY, dry_run=False)
        self.allow = _select(policies, Action.ALLOW, dry_run=False)
        self.dry_deny = _select(policies, Action.DENY, dry_run=True)
        self.dry_allow = _select(policies, Action.ALLOW, dry_run=True)
        self.missing = missing


def _select(policies: tuple[CompiledPolicy, ...], action: Action, *, dry_run: bool) -> tuple[CompiledPolicy, ...]:
    return tuple(p for p in policies if p.policy.action is action and p.policy.dry_run is dry_run)


_ALLOWED = Verdict(True, NO_ALLOW_POLICIES)
_REFUSED = Verdict(False, NONE_ALLOWED)


def authorize(policies: PolicySet, facts: ConnectionFacts) -> Verdict:
    """Judge a connection by the policies of its destination.

    The order is hbone-controlplane 4.3; a missing policy denies unless a known one has denied already.
    """
    verdict = _enforce(policies, facts)
    if policies.dry_deny or policies.dry_allow:
        return _with_notes(verdict, policies, facts)
    return verdict


def _enforce(policies: PolicySet, facts: ConnectionFacts) -> Verdict:
    for policy in policies.deny:
        if (verdict := policy.judge(facts)) is not None:
            return verdict
    if policies.missing:
        return _unknown(policies.missing)
    if not policies.allow:
        return _ALLOWED
    for policy in policies.allow:
        if (verdict := policy.judge(facts)) is not None:
            return verdict
    return _REFUSED


def _unknown(missing: tuple[str, ...]) -> Verdict:
    return Verdict(False, f"policy not known: {', '.join(missing)}", missing=missing)


def _with_notes(verdict: Verdict, policies: PolicySet, facts: ConnectionFacts) -> Verdict:
    notes = [f"dry-run: deny policy match {p.policy.key}" for p in policies.dry_deny if p.judge(facts)]
    matched = [p.policy.key for p in policies.dry_allow if p.judge(facts)]
    notes += [f"dry-run: allow policy match {key}" for key in matched]
    if policies.dry_allow and not matched:
        notes.append("dry-run: no allow policies matched")
    return Verdict(
        verdict.allowed,
        verdict.reason,
        verdict.policy,
        verdict.rule,
        verdict.clause,
        tuple(notes),
        verdict.missing,
    )
