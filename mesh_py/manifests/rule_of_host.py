"""Which DestinationRule a client follows for a service [pure].

As Istio looks it up: in the client's namespace, then the service's, then the root; the first of them that has a rule
for the host decides. Within a namespace the longest host counts, and rules for one and the same host are joined, the
oldest first.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from mesh_py.manifests.traffic import DestinationRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.model.workload import Service

_EXACT = 1_000
"""Longer than any host name."""


def find_rule(
    rules: Iterable[DestinationRule], service: Service, cluster_domain: str, namespaces: Iterable[str]
) -> DestinationRule | None:
    """The rule for a service; `namespaces` are the client's, the service's and the root, in this order."""
    looked_at = list(namespaces)
    visible = [one for one in rules if one.is_visible_to(looked_at[0])]
    for namespace in dict.fromkeys(looked_at):
        fits = [
            (one, fit)
            for one in visible
            if one.metadata.namespace == namespace and (fit := _fit(one, service, cluster_domain))
        ]
        if fits:
            best = max(fit for _, fit in fits)
            oldest = sorted((one for one, fit in fits if fit == best), key=lambda one: one.metadata.age)
            return reduce(DestinationRule.joined, oldest)
    return None


def names_host(rule: DestinationRule, service: Service, cluster_domain: str) -> bool:
    """Whether a rule's host names a service, whoever may follow it."""
    return _fit(rule, service, cluster_domain) > 0


def _fit(rule: DestinationRule, service: Service, cluster_domain: str) -> int:
    """How well a rule's host names a service; 0: not at all."""
    host = rule.host.lower()
    if host.startswith("*"):
        return len(host) if service.hostname.lower().endswith(host[1:]) else 0
    names = {service.hostname.lower()}
    if service.hostname == f"{service.name}.{service.namespace}.svc.{cluster_domain}":
        names |= {f"{service.name}.{service.namespace}", f"{service.name}.{service.namespace}.svc"}
        if rule.metadata.namespace == service.namespace:
            names.add(service.name)
    return _EXACT if host in names else 0
