"""Which DestinationRules a proxy follows, and where its routes therefore lead [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from istiod_py.envoy.names import UNKNOWN_SERVICE
from istiod_py.envoy.traffic_policy import hash_policies
from mesh_py.manifests.rule_of_host import find_rule
from mesh_py.manifests.traffic import NO_POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from istiod_py.envoy.extension import Json
    from mesh_py.manifests.rule_of_host import Client, RuleIndex
    from mesh_py.manifests.traffic import DestinationRule, Subset, TrafficPolicy
    from mesh_py.model.address import NamespacedHostname
    from mesh_py.model.workload import Service


@dataclass(frozen=True)
class Rules:
    """Those of all proxies that are one client: of its namespace, with its labels."""

    index: RuleIndex
    client: Client
    _found: dict[NamespacedHostname, DestinationRule | None] = field(default_factory=dict, compare=False, repr=False)

    def of(self, service: Service) -> DestinationRule | None:
        """The rule of a service's host."""
        if service.key not in self._found:
            rules, domain = self.index.naming(service), self.index.cluster_domain
            self._found[service.key] = find_rule(rules, service, domain, self.client) if rules else None
        return self._found[service.key]

    def subsets(self, service: Service) -> Sequence[Subset]:
        """All subsets of a service."""
        rule = self.of(service)
        return () if rule is None else rule.subsets

    def has_subset(self, service: Service, name: str) -> bool:
        """Whether a service has a subset of that name."""
        return any(one.name == name for one in self.subsets(service))

    def policy(self, service: Service, port: int, subset: str = "") -> TrafficPolicy:
        """What holds at a service's port, or for a subset there."""
        rule = self.of(service)
        return NO_POLICY if rule is None else rule.policy_of(port, subset)


class Lead(NamedTuple):
    """Where a route leads."""

    cluster: str
    hash_policies: Sequence[Json] = ()
    """What requests are hashed by, where the cluster chooses by a hash."""


NOWHERE = Lead(UNKNOWN_SERVICE)


@dataclass(frozen=True)
class Backends:
    """The services that a proxy's routes may lead to."""

    rules: Rules
    cluster_of: Callable[[Service, int, str], str]
    """What the proxy calls the cluster of a service's port and subset."""

    def lead(self, service: Service, port: int, subset: str = "") -> Lead:
        """The way to a service's port. A subset that no rule has is a backend that is not there."""
        if subset and not self.rules.has_subset(service, subset):
            return NOWHERE
        policy = self.rules.policy(service, port, subset)
        return Lead(self.cluster_of(service, port, subset), hash_policies(policy))
