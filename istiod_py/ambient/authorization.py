"""AuthorizationPolicy for layer 4 (hbone-controlplane 4.7) [pure].

A node proxy knows connections, not requests. What it cannot judge makes a policy stricter, never laxer: an ALLOW rule
with such a part is left out whole; from a DENY rule only the part is left out, so that it denies more. One loose end is
Istio's and is kept: where nothing is left of a DENY clause, the clause never holds and the rule is dead.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from istiod_py.ambient.notices import Notice, notice
from mesh_py.manifests import security
from mesh_py.model.address import Cidr
from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, ServiceAccountMatch, StringMatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from istiod_py.ambient.options import AmbientOptions
    from mesh_py.manifests.security import AuthorizationPolicy, Condition, Operation, Source, Texts
    from mesh_py.model.authorization import Clause, Rule

Value = TypeVar("Value")

_ACTIONS = {security.Action.ALLOW: Action.ALLOW, security.Action.DENY: Action.DENY}
_NOTHING = Match()


class Converted(NamedTuple):
    """A policy for node proxies, if it comes to one, and what its author should know."""

    policy: Policy | None
    notices: tuple[Notice, ...] = ()


def convert(written: AuthorizationPolicy, options: AmbientOptions) -> Converted:
    """Turn a policy into its layer 4 form. One with targets is for waypoints alone and comes to nothing here."""
    if written.target_refs:
        return Converted(None)
    if written.is_dry_run and not options.send_dry_run:
        return Converted(None, (_not_sent(written, "it is a dry run, which node proxies are not sent"),))
    action = _ACTIONS.get(written.action)
    if action is None:
        return Converted(None, (_not_sent(written, f"node proxies do not know action {written.action.value}"),))
    rules = tuple(rule for one in written.rules if (rule := _rule(one, action, written)) is not None)
    metadata = written.metadata
    scope = scope_of(written, options.mesh.root_namespace)
    policy = Policy(metadata.name, metadata.namespace, scope, action, rules, written.is_dry_run)
    return Converted(policy, tuple(_notices(written, policy)))


def scope_of(written: AuthorizationPolicy, root_namespace: str) -> Scope:
    """Whom a policy without targets is for."""
    if written.selector:
        return Scope.WORKLOAD_SELECTOR
    return Scope.GLOBAL if written.metadata.namespace == root_namespace else Scope.NAMESPACE


def _rule(rule: security.Rule, action: Action, written: AuthorizationPolicy) -> Rule | None:
    if action is Action.ALLOW and unsupported(rule):
        return None
    clauses: list[Clause] = []
    if rule.to:
        clauses.append(tuple(_operation(one) for one in rule.to))
    if rule.from_:
        clauses.append(tuple(_source(one, written.metadata.namespace) for one in rule.from_))
    clauses += [(_condition(one),) for one in rule.when]
    return tuple(clauses)


def unsupported(rule: security.Rule) -> tuple[str, ...]:
    """The parts of a rule that only a waypoint can judge, as they are written."""
    names = chain.from_iterable([one.layer_7 for one in rule.from_] + [one.layer_7 for one in rule.to])
    parts = {_camel(name) for name in names}
    return tuple(sorted(parts | {one.key for one in rule.when if one.key not in _CONDITIONS}))


def _operation(operation: Operation) -> Match:
    return Match(destination_ports=operation.ports, not_destination_ports=operation.not_ports)


def _source(source: Source, namespace: str) -> Match:
    return Match(
        namespaces=_strings(source.namespaces),
        not_namespaces=_strings(source.not_namespaces),
        service_accounts=_accounts(source.service_accounts, namespace),
        not_service_accounts=_accounts(source.not_service_accounts, namespace),
        principals=_strings(source.principals),
        not_principals=_strings(source.not_principals),
        source_ips=source.ip_blocks,
        not_source_ips=source.not_ip_blocks,
    )


def _condition(condition: Condition) -> Match:
    read = _CONDITIONS.get(condition.key)
    return read(condition.values, condition.not_values) if read is not None else _NOTHING


def string_match(text: str) -> StringMatch:
    """`*` is anything but nothing, `*x` a suffix, `x*` a prefix, anything else itself."""
    if text == "*":
        return StringMatch(MatchKind.PRESENCE)
    if text.startswith("*"):
        return StringMatch(MatchKind.SUFFIX, text[1:])
    if text.endswith("*"):
        return StringMatch(MatchKind.PREFIX, text[:-1])
    return StringMatch(MatchKind.EXACT, text)


def _strings(texts: Iterable[str]) -> tuple[StringMatch, ...]:
    return tuple(map(string_match, texts))


def _accounts(texts: Iterable[str], namespace: str) -> tuple[ServiceAccountMatch, ...]:
    """`namespace/account`, or an account of the policy's own namespace."""
    split = ((namespace, text) if "/" not in text else text.split("/", 1) for text in texts)
    return tuple(ServiceAccountMatch(*pair) for pair in split)


def _blocks(texts: Iterable[str]) -> tuple[Cidr, ...]:
    return tuple(_understood(texts, Cidr.parse))


def _ports(texts: Iterable[str]) -> tuple[int, ...]:
    return tuple(port for port in _understood(texts, int) if 0 < port < 65536)


def _understood(texts: Iterable[str], read: Callable[[str], Value]) -> Iterator[Value]:
    """What can be read; the rest is passed over as in Istio, and the reader of manifests refuses it before."""
    for text in texts:
        try:
            yield read(text)
        except ValueError:
            continue


_CONDITIONS: dict[str, Callable[[Texts, Texts], Match]] = {
    "source.ip": lambda yes, no: Match(source_ips=_blocks(yes), not_source_ips=_blocks(no)),
    "source.namespace": lambda yes, no: Match(namespaces=_strings(yes), not_namespaces=_strings(no)),
    "source.principal": lambda yes, no: Match(principals=_strings(yes), not_principals=_strings(no)),
    "destination.ip": lambda yes, no: Match(destination_ips=_blocks(yes), not_destination_ips=_blocks(no)),
    "destination.port": lambda yes, no: Match(destination_ports=_ports(yes), not_destination_ports=_ports(no)),
}


def can_match(policy: Policy) -> bool:
    """Whether any connection could match: a clause whose matches are all empty never holds."""
    return any(all(map(_can_hold, rule)) for rule in policy.rules)


def _can_hold(clause: Clause) -> bool:
    return not clause or any(match != _NOTHING for match in clause)


def _not_sent(written: AuthorizationPolicy, why: str) -> Notice:
    return notice(written.kind, written.metadata, "policy-not-sent", why, "attach it to a waypoint with targetRefs")


def _notices(written: AuthorizationPolicy, policy: Policy) -> Iterator[Notice]:
    for rule in written.rules:
        names = ", ".join(unsupported(rule))
        if names:
            code, what = _consequence(policy)
            advice = "enforce it at a waypoint, with targetRefs"
            what = f"{names}: node proxies cannot judge requests, so {what}"
            yield notice(written.kind, written.metadata, code, what, advice, place=rule.place)


def _consequence(policy: Policy) -> tuple[str, str]:
    if policy.action is Action.ALLOW:
        return "policy-allows-less", "the rule is left out and allows nothing"
    if can_match(policy):
        return "policy-denies-more", "the rule is enforced without them and denies more"
    return "policy-without-effect", "nothing is left of the policy and it denies nothing"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
