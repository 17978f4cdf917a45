"""A second, plain reading of hbone-controlplane 4.3 to 4.5, to judge the compiled one by."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from mesh_py.model.authorization import Action, MatchKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.model.address import Cidr
    from mesh_py.model.authorization import Match, Policy, ServiceAccountMatch, StringMatch
    from mesh_py.policy.match import ConnectionFacts


def is_allowed(policies: Iterable[Policy], facts: ConnectionFacts) -> bool:
    """Steps 1 to 6 of the decision, dry runs left out."""
    enforced = [policy for policy in policies if not policy.dry_run]
    if any(policy.action is Action.DENY and policy_matches(policy, facts) for policy in enforced):
        return False
    allow = [policy for policy in enforced if policy.action is Action.ALLOW]
    return not allow or any(policy_matches(policy, facts) for policy in allow)


def policy_matches(policy: Policy, facts: ConnectionFacts) -> bool:
    for rule in policy.rules:
        holds = True
        for clause in rule:
            holds = holds and (len(clause) == 0 or any(match_holds(match, facts) for match in clause))
        if holds:
            return True
    return False


def match_holds(match: Match, facts: ConnectionFacts) -> bool:
    identity = facts.identity
    text = str(identity)[len("spiffe://") :] if identity else None
    namespace = identity.namespace if identity else ""
    account = (identity.namespace, identity.service_account) if identity else None
    pairs = [
        (match.principals, match.not_principals, lambda m: text is not None and string(m, text)),
        (match.namespaces, match.not_namespaces, lambda m: string(m, namespace)),
        (match.service_accounts, match.not_service_accounts, lambda m: is_account(m, account)),
        (match.source_ips, match.not_source_ips, lambda m: inside(m, facts.source_ip)),
        (match.destination_ips, match.not_destination_ips, lambda m: inside(m, facts.destination_ip)),
        (match.destination_ports, match.not_destination_ports, lambda m: m == facts.destination_port),
    ]
    if not any(positive or negative for positive, negative, _ in pairs):
        return False
    return all(
        (not positive or any(test(m) for m in positive)) and not any(test(m) for m in negative)
        for positive, negative, test in pairs
    )


def string(matcher: StringMatch, text: str) -> bool:
    match matcher.kind:
        case MatchKind.EXACT:
            return text == matcher.value
        case MatchKind.PREFIX:
            return text[: len(matcher.value)] == matcher.value
        case MatchKind.SUFFIX:
            return matcher.value == "" or text[-len(matcher.value) :] == matcher.value
        case MatchKind.PRESENCE:
            return len(text) > 0


def is_account(matcher: ServiceAccountMatch, account: tuple[str, str] | None) -> bool:
    return account is not None and tuple(matcher) == account


def inside(block: Cidr, ip: str) -> bool:
    return ip_address(ip) in ip_network(str(block), strict=False)
