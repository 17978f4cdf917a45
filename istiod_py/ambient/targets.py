"""Policies that are attached to something: whether any proxy will enforce them (hbone-controlplane 9.6) [pure].

A target is a waypoint's Gateway, a service behind a waypoint, or the class of all waypoints. A policy whose target is
none of these is enforced by nobody, and looks the same as one that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.ambient.notices import Notice, Severity, notice
from mesh_py.manifests import core, networking
from mesh_py.manifests.gateway import WAYPOINT_CLASS, Gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from istiod_py.ambient.context import Context
    from istiod_py.ambient.services import ServiceFacts
    from mesh_py.manifests.references import TargetReference
    from mesh_py.manifests.security import AuthorizationPolicy, RequestAuthentication

    Policy = AuthorizationPolicy | RequestAuthentication

_SERVICES = (core.Service.kind, networking.ServiceEntry.kind)


def notices(context: Context, services: Iterable[ServiceFacts]) -> Iterator[Notice]:
    """What authors of policies with targets should know, target by target."""
    has_waypoint: dict[tuple[str, str, str], bool] = {}
    for facts in services:
        key = (facts.kind, facts.metadata.namespace, facts.metadata.name)
        has_waypoint[key] = has_waypoint.get(key, False) or facts.waypoint is not None
    manifests = context.manifests
    policies: tuple[Policy, ...] = (*manifests.authorization_policies, *manifests.request_authentications)
    for policy in policies:
        for ref in policy.target_refs:
            problem = _problem(policy, ref, context, has_waypoint)
            if problem is not None:
                code, what, advice = problem
                yield notice(policy.kind, policy.metadata, code, what, advice, severity=Severity.ERROR, place=ref.place)


def _problem(
    policy: Policy, ref: TargetReference, context: Context, has_waypoint: dict[tuple[str, str, str], bool]
) -> tuple[str, str, str] | None:
    """Code, what and advice; None if somebody enforces the policy."""
    namespace = policy.metadata.namespace
    target = f"{ref.kind} {ref.name}"
    if ref.namespace not in ("", namespace):
        return "policy-target-abroad", f"{target} is of another namespace", f"move the policy to {ref.namespace}"
    if ref.kind == "GatewayClass":
        return _problem_of_class(namespace, ref, context)
    if ref.kind == Gateway.kind:
        is_there = f"{namespace}/{ref.name}" in context.waypoints.by_key
        advice = f"write a Gateway of class {WAYPOINT_CLASS} with this name"
        return None if is_there else ("policy-target-unknown", f"{target} is no waypoint in {namespace}", advice)
    bound = has_waypoint.get((ref.kind, namespace, ref.name)) if ref.kind in _SERVICES else None
    if bound is None:
        what = f"{target} is not there in {namespace}, so that nobody enforces the policy"
        return "policy-target-unknown", what, "name a Service, ServiceEntry or Gateway of the policy's namespace"
    what = f"{target} goes through no waypoint, so that nobody enforces the policy"
    advice = "label it istio.io/use-waypoint"
    return None if bound else ("policy-target-without-waypoint", what, advice)


def _problem_of_class(namespace: str, ref: TargetReference, context: Context) -> tuple[str, str, str] | None:
    root = context.mesh.root_namespace
    if ref.name != WAYPOINT_CLASS:
        return "policy-target-unknown", f"GatewayClass {ref.name} is not {WAYPOINT_CLASS}", f"name {WAYPOINT_CLASS}"
    if namespace != root:
        what = f"a policy for all waypoints counts in the root namespace {root} only"
        return "policy-target-abroad", what, f"move the policy to {root}"
    return None
