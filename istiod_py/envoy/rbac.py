"""AuthorizationPolicies as Envoy's RBAC filters, for HTTP and for plain connections (hbone-controlplane 9.6) [pure].

DENY is judged before ALLOW. What an Envoy without Istio's extensions cannot judge makes a policy stricter, never
weaker: such a rule of an ALLOW allows nothing, of a DENY it denies more. AUDIT needs an extension and does nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from istiod_py.envoy.extension import Json, extension
from istiod_py.envoy.rbac_rules import Judge, permissions, principals
from mesh_py.manifests.security import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesh_py.manifests.security import AuthorizationPolicy, Rule

HTTP_TYPE = "envoy.extensions.filters.http.rbac.v3.RBAC"
NETWORK_TYPE = "envoy.extensions.filters.network.rbac.v3.RBAC"


class Verdict(Enum):
    """The two kinds of RBAC filters, in the order they are asked."""

    DENY = "DENY"
    ALLOW = "ALLOW"


def http_filters(policies: Sequence[AuthorizationPolicy], judge: Judge) -> list[Json]:
    """HTTP filters that hold requests to these policies."""

    def build(rules: Json) -> Json:
        return extension("envoy.filters.http.rbac", HTTP_TYPE, rules)

    return _filters(policies, judge, build)


def network_filters(policies: Sequence[AuthorizationPolicy], judge: Judge) -> list[Json]:
    """Network filters that hold connections to these policies; nothing is known of requests there."""

    def build(rules: Json) -> Json:
        return extension("envoy.filters.network.rbac", NETWORK_TYPE, {"stat_prefix": "tcp.", **rules})

    return _filters(policies, judge.without_requests(), build)


def _filters(policies: Sequence[AuthorizationPolicy], judge: Judge, build: Callable[[Json], Json]) -> list[Json]:
    found = []
    for verdict in Verdict:
        of_kind = [one for one in policies if _verdict(one) is verdict]
        enforced = [one for one in of_kind if not one.is_dry_run]
        tried = [one for one in of_kind if one.is_dry_run]
        rules: Json = {"rules": _rules(enforced, verdict, judge)} if enforced else {}
        if tried:
            prefix = f"istio_dry_run_{verdict.value.lower()}_"
            rules |= {"shadow_rules": _rules(tried, verdict, judge), "shadow_rules_stat_prefix": prefix}
        if rules:
            found.append(build(rules))
    return found


def _verdict(policy: AuthorizationPolicy) -> Verdict | None:
    match policy.action:
        case Action.ALLOW:
            return Verdict.ALLOW
        case Action.DENY:
            return Verdict.DENY
        case Action.CUSTOM:
            # Nobody is there to be asked: what the policy is about is not let through.
            return Verdict.DENY
        case Action.AUDIT:
            return None


def _rules(policies: Sequence[AuthorizationPolicy], verdict: Verdict, judge: Judge) -> Json:
    found = {}
    for policy in policies:
        for index, rule in enumerate(policy.rules):
            if (entry := _entry(policy, rule, verdict, judge)) is not None:
                metadata = policy.metadata
                found[f"ns[{metadata.namespace}]-policy[{metadata.name}]-rule[{index}]"] = entry
    return {"action": verdict.value, "policies": found}


def _entry(policy: AuthorizationPolicy, rule: Rule, verdict: Verdict, judge: Judge) -> Json | None:
    """One rule; None where it cannot match."""
    is_strict = verdict is Verdict.ALLOW
    namespace = policy.metadata.namespace
    what = permissions(rule, judge, strict=is_strict)
    who = principals(rule, namespace, judge, strict=is_strict)
    return None if what is None or who is None else {"permissions": [what], "principals": [who]}
