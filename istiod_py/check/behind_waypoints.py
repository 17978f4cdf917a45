"""ALLOW policies that do not let the waypoint through [pure].

What comes through a waypoint has the waypoint's identity at the node proxy behind it, whose policies judge that one
(hbone-controlplane 9.7). Rules about the first callers belong to the waypoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from mesh_py.manifests.core import Pod
from mesh_py.manifests.security import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from istiod_py.ambient.waypoints import Waypoint
    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.security import AuthorizationPolicy, Source


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Every ALLOW of layer 4 that names callers, for every waypoint in front of what it covers."""
    for policy in mesh.manifests.authorization_policies:
        yield from _policy(policy, mesh)


def _policy(policy: AuthorizationPolicy, mesh: CheckedMesh) -> Iterator[Finding]:
    names_callers = any(_names_callers(source) for rule in policy.rules for source in rule.from_)
    if policy.action is not Action.ALLOW or policy.target_refs or not names_callers or mesh.options.allow_waypoints:
        return
    for waypoint in _waypoints_in_front(policy, mesh):
        if not _allows(policy, waypoint, mesh):
            subject = f"AuthorizationPolicy {policy.metadata.key}"
            what = f"{subject} does not allow waypoint {waypoint.key}, through which callers come"
            advice = f"allow {_principals(waypoint, mesh)}, and attach the callers' rules to the waypoint by targetRefs"
            yield codes.WAYPOINT_NOT_ALLOWED.at(policy.metadata.place, what, advice)


def _waypoints_in_front(policy: AuthorizationPolicy, mesh: CheckedMesh) -> Sequence[Waypoint]:
    """Waypoints of services and workloads that the policy covers, each once."""
    found: dict[str, Waypoint] = {}
    for one in mesh.workloads_selected(policy.metadata.namespace, policy.selector or {}):
        if isinstance(one, Pod) and mesh.waypoints.instance(one.metadata) is None:
            found |= mesh.waypoints_in_front.get(one.metadata.key, {})
    return [waypoint for waypoint in found.values() if waypoint.service_accounts]


def _names_callers(source: Source) -> bool:
    return bool(source.principals or source.namespaces or source.service_accounts)


def _allows(policy: AuthorizationPolicy, waypoint: Waypoint, mesh: CheckedMesh) -> bool:
    return any(
        not rule.from_ or any(_admits(source, policy, waypoint, mesh) for source in rule.from_) for rule in policy.rules
    )


def _admits(source: Source, policy: AuthorizationPolicy, waypoint: Waypoint, mesh: CheckedMesh) -> bool:
    if not _names_callers(source):
        return True
    accounts = {f"{waypoint.namespace}/{account}" for account in waypoint.service_accounts}
    named = {one if "/" in one else f"{policy.metadata.namespace}/{one}" for one in source.service_accounts}
    principals = _principals(waypoint, mesh).split(", ")
    return (
        bool(accounts & named)
        or any(matches(pattern, waypoint.namespace) for pattern in source.namespaces)
        or any(matches(pattern, principal) for pattern in source.principals for principal in principals)
    )


def _principals(waypoint: Waypoint, mesh: CheckedMesh) -> str:
    domain = mesh.options.mesh.trust_domain
    return ", ".join(f"{domain}/ns/{waypoint.namespace}/sa/{account}" for account in waypoint.service_accounts)


def matches(pattern: str, text: str) -> bool:
    """How a policy compares: `*`, `*suffix`, `prefix*`, or exactly."""
    if pattern == "*":
        return bool(text)
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
