"""Which DestinationRule a client follows for a service [pure].

As Istio looks it up: in the client's namespace, then the service's, then the root; the first of them that has a rule
for the host decides. Within a namespace the longest host counts, and rules for one and the same host are joined, the
oldest first; those whose `workloadSelector` the client satisfies count before the others.

A `credentialName` is of the client's own Secrets, so not everybody whose rule is followed may name one. As in Istio, a
sidecar heeds it in a rule with a `workloadSelector` alone, which is of its own namespace; a waypoint in every rule of
its own namespace. Istio then speaks plaintext to the host where we speak not at all.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.manifests.traffic import DestinationRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mesh_py.manifests.metadata import Labels
    from mesh_py.model.workload import Service

_EXACT = 1_000
"""Longer than any host name."""


class Client(NamedTuple):
    """Who asks for a service."""

    namespace: str
    labels: Labels
    root_namespace: str
    """Whose rules are for the whole mesh."""
    is_gateway: bool = False
    """It is no sidecar: a waypoint, or a gateway."""

    def may_be_told_secrets(self, rule: DestinationRule) -> bool:
        """Whether a rule that it follows may name Secrets of its."""
        return bool(rule.selector) or (self.is_gateway and rule.metadata.namespace == self.namespace)

    def looks_in(self, service: Service) -> Iterable[str]:
        """The namespaces whose rules count, the first that has one deciding."""
        return dict.fromkeys((self.namespace, service.namespace, self.root_namespace))


def find_rule(
    rules: Iterable[DestinationRule], service: Service, cluster_domain: str, client: Client
) -> DestinationRule | None:
    """The rule that a client follows for a service."""
    followed = [one for one in rules if one.is_for(client.namespace, client.labels)]
    for namespace in client.looks_in(service) if followed else ():
        fits = [
            (one, fit)
            for one in followed
            if one.metadata.namespace == namespace and (fit := _fit(one, service, cluster_domain))
        ]
        if fits:
            best = max(fit for _, fit in fits)
            rule = _as_one([one for one, fit in fits if fit == best])
            return rule if client.may_be_told_secrets(rule) else rule.without_secrets()
    return None


def _as_one(rules: Sequence[DestinationRule]) -> DestinationRule:
    chosen = [one for one in rules if one.selector] or rules
    return reduce(DestinationRule.joined, sorted(chosen, key=lambda one: one.metadata.age))


class RuleIndex:
    """Rules by the hosts they name, so that few are looked at for each of many services."""

    def __init__(self, rules: Iterable[DestinationRule], cluster_domain: str) -> None:
        self.cluster_domain = cluster_domain
        self._by_name: dict[str, list[DestinationRule]] = {}
        self._wildcards: list[DestinationRule] = []
        self.has_selectors = False
        """Whether any of them asks for labels of the client's."""
        for rule in rules:
            host = rule.host.lower()
            named = self._wildcards if host.startswith("*") else self._by_name.setdefault(host, [])
            named.append(rule)
            self.has_selectors |= bool(rule.selector)

    def naming(self, service: Service) -> Sequence[DestinationRule]:
        """Those that may name a service, whoever follows them."""
        if not self._by_name and not self._wildcards:
            return ()
        named = [one for name in _names(service, self.cluster_domain) for one in self._by_name.get(name, ())]
        return [*named, *self._wildcards]


def names_host(rule: DestinationRule, service: Service, cluster_domain: str) -> bool:
    """Whether a rule's host names a service, whoever may follow it."""
    return _fit(rule, service, cluster_domain) > 0


def _fit(rule: DestinationRule, service: Service, cluster_domain: str) -> int:
    """How well a rule's host names a service; 0: not at all."""
    host = rule.host.lower()
    if host.startswith("*"):
        return len(host) if service.hostname.lower().endswith(host[1:]) else 0
    if host == service.name and rule.metadata.namespace != service.namespace:
        return 0  # a short name means one of the rule's own namespace
    return _EXACT if host in _names(service, cluster_domain) else 0


def _names(service: Service, cluster_domain: str) -> Sequence[str]:
    """What a service may be called, the short name last."""
    if service.hostname != f"{service.name}.{service.namespace}.svc.{cluster_domain}":
        return (service.hostname.lower(),)
    short = f"{service.name}.{service.namespace}"
    return service.hostname.lower(), short, f"{short}.svc", service.name
