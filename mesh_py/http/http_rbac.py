"""AuthorizationPolicies judged for one request: CUSTOM, DENY, ALLOW, AUDIT, in Istio's order [pure].

Compile the policies of a workload or waypoint once with `HttpPolicies`; `judge` takes microseconds. A DENY that matches
denies; where there are ALLOW policies one of them has to match; the external authorizers of CUSTOM policies that match
are named in `ask`, and the request passes only if they agree as well. A dry run only leaves a note.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mesh_py.http.errors import AccessDenied
from mesh_py.http.rbac_match import CannotJudge, compile_rule
from mesh_py.http.regex_syntax import UnsupportedRegex
from mesh_py.manifests.security import Action, Operation, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mesh_py.http.rbac_facts import RequestFacts
    from mesh_py.manifests.security import AuthorizationPolicy, Rule


Part = TypeVar("Part", Source, Operation)


class HttpVerdict:
    """Whether a request may pass, and why."""

    __slots__ = ("allowed", "ask", "notes", "policy", "rule")

    def __init__(
        self,
        allowed: bool,
        policy: str = "",
        rule: int | None = None,
        ask: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self.allowed = allowed
        self.policy = policy
        """`namespace/name` of the policy that decided; empty where none did."""
        self.rule = rule
        """The index of its rule that matched."""
        self.ask = ask
        """Providers of CUSTOM policies that match, each to be asked before the request passes."""
        self.notes = notes
        """What AUDIT policies and dry runs have to say, for the log."""

    @property
    def details(self) -> str:
        """Envoy's words in an access log; empty for a request that is allowed."""
        if self.allowed:
            return ""
        if self.rule is None:
            return "rbac_access_denied_matched_policy[none]"
        namespace, _, name = self.policy.rpartition("/")
        return f"rbac_access_denied_matched_policy[ns[{namespace}]-policy[{name}]-rule[{self.rule}]]"

    def enforce(self) -> None:
        """Raises AccessDenied if the request may not pass."""
        if not self.allowed:
            raise AccessDenied(self.details)


class _Compiled:
    """One policy, ready for use."""

    __slots__ = ("dry_run", "key", "provider", "rules")

    def __init__(self, policy: AuthorizationPolicy, rules: tuple[Callable[[RequestFacts], bool], ...]) -> None:
        self.key, self.provider = policy.metadata.key, policy.provider
        self.dry_run, self.rules = policy.is_dry_run, rules

    def match(self, facts: RequestFacts) -> int | None:
        """The first rule that holds."""
        for index, rule in enumerate(self.rules):
            if rule(facts):
                return index
        return None


ALLOWED = HttpVerdict(True)
NOT_ALLOWED = HttpVerdict(False)


class HttpPolicies:
    """The policies that apply to one workload or waypoint. `problems` names what cannot be judged as written."""

    def __init__(self, policies: Iterable[AuthorizationPolicy], *, http: bool = True) -> None:
        """Compile them; `http` is false for connections that carry none, where layer 7's fields cannot be judged."""
        self.problems: list[str] = []
        self._http = http
        by_action: dict[Action, list[_Compiled]] = {action: [] for action in Action}
        for policy in policies:
            by_action[policy.action].append(self._compile(policy))
        self._custom = by_action[Action.CUSTOM]
        self._deny = by_action[Action.DENY]
        self._allow = by_action[Action.ALLOW]
        self._audit = by_action[Action.AUDIT]
        self.is_empty = not any(by_action.values())
        """Whether there is no policy to judge by."""

    def __bool__(self) -> bool:
        return not self.is_empty

    def judge(self, facts: RequestFacts) -> HttpVerdict:
        """The verdict for one request."""
        if self.is_empty:
            return ALLOWED
        notes: list[str] = []
        ask = tuple(dict.fromkeys(self._asked(facts, notes))) if self._custom else ()
        verdict = self._denied(facts, notes) or (self._allowed(facts, notes) if self._allow else ALLOWED)
        if not self._audit and not ask and not notes:
            return verdict
        matches = [(policy.key, policy.match(facts)) for policy in self._audit]
        notes += [f"audit: {key} rule {rule} matches" for key, rule in matches if rule is not None]
        if not ask and not notes:
            return verdict
        return HttpVerdict(verdict.allowed, verdict.policy, verdict.rule, ask, tuple(notes))

    def _asked(self, facts: RequestFacts, notes: list[str]) -> Iterable[str]:
        for policy in self._custom:
            rule = policy.match(facts)
            if rule is not None and policy.dry_run:
                notes.append(f"dry run: {policy.key} rule {rule} would ask {policy.provider}")
            elif rule is not None:
                yield policy.provider

    def _denied(self, facts: RequestFacts, notes: list[str]) -> HttpVerdict | None:
        for policy in self._deny:
            rule = policy.match(facts)
            if rule is not None and not policy.dry_run:
                return HttpVerdict(False, policy.key, rule)
            if rule is not None:
                notes.append(f"dry run: {policy.key} rule {rule} would deny")
        return None

    def _allowed(self, facts: RequestFacts, notes: list[str]) -> HttpVerdict:
        enforced = False
        for policy in self._allow:
            rule = policy.match(facts)
            if policy.dry_run:
                notes.append(f"dry run: {policy.key} would {'deny' if rule is None else 'allow'}")
                continue
            if rule is not None:
                return HttpVerdict(True, policy.key, rule)
            enforced = True
        return NOT_ALLOWED if enforced else ALLOWED

    def _compile(self, policy: AuthorizationPolicy) -> _Compiled:
        closes = policy.action in (Action.DENY, Action.CUSTOM)
        rules = tuple(self._rule(policy, index, rule, closes=closes) for index, rule in enumerate(policy.rules))
        return _Compiled(policy, rules)

    def _rule(
        self, policy: AuthorizationPolicy, index: int, rule: Rule, *, closes: bool
    ) -> Callable[[RequestFacts], bool]:
        if not self._http and rule.is_layer_7:
            if not closes:
                return lambda _: False
            rule = _layer_4_part(rule)
        try:
            return compile_rule(rule, policy.metadata.namespace)
        except (CannotJudge, UnsupportedRegex) as error:
            self.problems.append(f"{policy.metadata.key} rule {index}: {error}")
            return lambda _: closes


def _layer_4_part(rule: Rule) -> Rule:
    """What is left of a rule for a connection that is no HTTP."""
    return replace(
        rule,
        from_=tuple(_without(source, source.layer_7) for source in rule.from_),
        to=tuple(_without(operation, operation.layer_7) for operation in rule.to),
        when=tuple(condition for condition in rule.when if not condition.is_layer_7),
    )


def _without(part: Part, fields: Iterable[str]) -> Part:
    empty: Any = dict.fromkeys(fields, ())
    return replace(part, **empty)
