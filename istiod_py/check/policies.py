"""Policies that match nothing, everything, or workloads that nobody guards [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.ambient.participation import DataPlane
from istiod_py.check import codes
from istiod_py.check.nearest import nearest_label, text_of
from istiod_py.check.targets import check_targets
from mesh_py.manifests.core import Pod
from mesh_py.manifests.security import Action, AuthorizationPolicy, RequestAuthentication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.networking import WorkloadEntry


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Everything about AuthorizationPolicy and RequestAuthentication."""
    for policy in mesh.manifests.authorization_policies:
        yield from _rules(policy)
        yield from _tokens(policy, mesh)
        yield from check_targets(policy, mesh)
        yield from _selected(policy, mesh)
    for authentication in mesh.manifests.request_authentications:
        yield from check_targets(authentication, mesh)
        yield from _selected(authentication, mesh)


def _rules(policy: AuthorizationPolicy) -> Iterator[Finding]:
    if policy.rules:
        return
    place = policy.metadata.place
    if policy.action is Action.ALLOW:
        what = f"{_subject(policy)} allows nothing, so it denies everything that no other policy allows"
        yield codes.DENIES_ALL.at(place, what, "write 'rules: [{}]' to allow all; as a default to deny it is fine")
    else:
        what = f"{_subject(policy)} has no rules, so {policy.action.value} never happens"
        yield codes.NEVER_MATCHES.at(place, what, "write 'rules: [{}]' to match all")


def _tokens(policy: AuthorizationPolicy, mesh: CheckedMesh) -> Iterator[Finding]:
    """Without a RequestAuthentication no request has a principal, whatever token it brings."""
    for rule in policy.rules:
        asks = any(source.request_principals for source in rule.from_) or any(
            condition.key.startswith("request.auth.") and condition.values for condition in rule.when
        )
        if asks and not any(_speaks_for(one, policy, mesh) for one in mesh.manifests.request_authentications):
            what = f"{_subject(policy)} asks for tokens, and no RequestAuthentication says which are taken"
            yield codes.NO_TOKENS.at(rule.place, what, "add one with the same selector or targetRefs")


def _speaks_for(one: RequestAuthentication, policy: AuthorizationPolicy, mesh: CheckedMesh) -> bool:
    """Whether it may be in force where the policy is."""
    return one.metadata.namespace in (policy.metadata.namespace, mesh.root_namespace)


def _selected(policy: AuthorizationPolicy | RequestAuthentication, mesh: CheckedMesh) -> Iterator[Finding]:
    """What a selector selects, and whether it has a proxy."""
    if policy.target_refs:
        return
    place, selector = policy.metadata.place, policy.selector
    workloads = mesh.workloads_selected(policy.metadata.namespace, selector or {})
    if not workloads:
        if selector:
            what = f"{_subject(policy)} selects {text_of(selector)}, which nothing in the namespace has"
            advice = nearest_label(selector, mesh.labels_in(policy.metadata.namespace))
            yield codes.POLICY_SELECTS_NOTHING.at(place, what, advice)
    elif isinstance(policy, RequestAuthentication) and all(_has_node_proxy(one, mesh) for one in workloads):
        what = f"{_subject(policy)} is for workloads behind node proxies, which do not look at tokens"
        yield codes.NOBODY_ENFORCES.at(place, what, "attach it to a service with a waypoint, by targetRefs")
    elif selector and all(_has_no_proxy(one, mesh) for one in workloads):
        what = f"{_subject(policy)} selects {len(workloads)} workloads, none of which has a proxy"
        advice = "label their namespace with istio.io/dataplane-mode: ambient"
        yield codes.NOBODY_ENFORCES.at(place, what, advice)


def _has_node_proxy(workload: Pod | WorkloadEntry, mesh: CheckedMesh) -> bool:
    return isinstance(workload, Pod) and mesh.data_plane(workload) is DataPlane.NODE


def _has_no_proxy(workload: Pod | WorkloadEntry, mesh: CheckedMesh) -> bool:
    return isinstance(workload, Pod) and mesh.is_outside(workload)


def _subject(policy: AuthorizationPolicy | RequestAuthentication) -> str:
    return f"{policy.kind} {policy.metadata.key}"
