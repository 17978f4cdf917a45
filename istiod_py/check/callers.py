"""Callers that rules name: namespaces, service accounts, principals that are not there or never match [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from istiod_py.check.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.security import AuthorizationPolicy, Source


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Every source of every rule."""
    for policy in mesh.manifests.authorization_policies:
        for rule in policy.rules:
            for source in rule.from_:
                yield from _callers(policy, source, mesh)


def _callers(policy: AuthorizationPolicy, source: Source, mesh: CheckedMesh) -> Iterator[Finding]:
    for namespace in source.namespaces:
        if "*" not in namespace and namespace not in mesh.namespaces:
            what = f"{_subject(policy)} names namespace {namespace}, in which there is nothing"
            yield codes.NO_CALLER.at(source.place, what, nearest(namespace, mesh.namespaces))
    for account in source.service_accounts:
        namespace, _, name = account.rpartition("/")
        yield from _account(policy, source, namespace or policy.metadata.namespace, name, mesh)
    for principal in source.principals:
        yield from _principal(policy, source, principal, mesh)


def _principal(policy: AuthorizationPolicy, source: Source, principal: str, mesh: CheckedMesh) -> Iterator[Finding]:
    domain = mesh.options.mesh.trust_domain
    if principal.startswith("spiffe://"):
        what = f"{_subject(policy)}: principal {principal!r} never matches"
        yield codes.PRINCIPAL_FORM.at(source.place, what, f"write {principal.removeprefix('spiffe://')!r}")
    elif "*" not in principal:
        match principal.split("/"):
            case [td, "ns", namespace, "sa", name] if td == domain:
                yield from _account(policy, source, namespace, name, mesh)
            case [td, "ns", namespace, "sa", name]:
                what = f"{_subject(policy)}: principal {principal!r} is of trust domain {td}, the mesh of {domain}"
                yield codes.PRINCIPAL_FORM.at(source.place, what, f"write '{domain}/ns/{namespace}/sa/{name}'")
            case _:
                what = f"{_subject(policy)}: principal {principal!r} is no identity"
                yield codes.PRINCIPAL_FORM.at(source.place, what, f"write '{domain}/ns/NAMESPACE/sa/ACCOUNT'")


def _account(
    policy: AuthorizationPolicy, source: Source, namespace: str, name: str, mesh: CheckedMesh
) -> Iterator[Finding]:
    accounts = mesh.accounts.get(namespace, set())
    if name in accounts or (name == "default" and namespace in mesh.namespaces):
        return
    what = f"{_subject(policy)} names service account {namespace}/{name}, which is not there"
    advice = nearest(name, accounts) if accounts else nearest(namespace, mesh.accounts)
    yield codes.NO_CALLER.at(source.place, what, advice)


def _subject(policy: AuthorizationPolicy) -> str:
    return f"{policy.kind} {policy.metadata.key}"
