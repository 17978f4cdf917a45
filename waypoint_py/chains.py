"""The filters in front of each destination, in one ordered list (docs/filters.md)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_py.http.errors import AccessDenied
from mesh_py.http.filters.chain import FilterChain
from mesh_py.http.filters.fault import AbortFault, DelayFault, FaultRules
from mesh_py.http.filters.rate_limit import RateLimit, RateRules
from mesh_py.manifests.gateway import Gateway
from waypoint_py.policies import Gate, Gates, gateway_of

if TYPE_CHECKING:
    from mesh_py.http.filters.base import HttpFilter
    from mesh_py.manifests.chain import RateLimit as LimitEntry
    from mesh_py.manifests.proxy_file import Further
    from mesh_py.model.workload import Service
    from mesh_py.proxy.key_sets import KeySets
    from waypoint_py.attached import Target
    from waypoint_py.context import WaypointContext
    from waypoint_py.user_filters import UserFilters

log = logging.getLogger("policy")

TELL_IDENTITY = "ambient.istio.io/xfcc-include-client-identity"


class Chains:
    """Made when first needed, and anew when the mesh or the manifests change."""

    def __init__(self, context: WaypointContext, user_filters: UserFilters, key_sets: KeySets) -> None:
        self._context, self._user_filters = context, user_filters
        self._buckets: dict[LimitEntry, RateLimit] = {}
        self._key_sets = key_sets
        root = context.settings.root_namespace
        self._gates = Gates(root, lambda path: Path(path).read_text(encoding="utf-8"), key_sets.of)
        self._made_for: tuple[int, Further] | None = None
        self._by_name: dict[str, tuple[Gate, FilterChain]] = {}
        self._gateway = ""
        self.tells_identity = False
        """Whether applications are told who calls: the Gateway's annotation says so (hbone-controlplane 9.6)."""

    @property
    def problems(self) -> list[str]:
        """What the policies in use ask that cannot be judged as written."""
        of_gates = dict.fromkeys(problem for gate, _ in self._by_name.values() for problem in gate.problems)
        return [*of_gates, *self._key_sets.problems]

    def has_rules_for_requests(self, target: Target) -> bool:
        """Whether somebody has asked of a destination what only requests can be asked."""
        gate, chain = self._find(target)
        others = len(chain.filters) > len((gate.tokens, gate.requests))
        return others or not gate.requests.policies.is_empty or bool(gate.tokens.issuers)

    def of(self, target: Target) -> FilterChain:
        """Every filter that a request to a destination passes. Raises AccessDenied while nothing is known yet."""
        return self._find(target)[1]

    def gate(self, target: Target) -> Gate:
        """The policies for it. Raises AccessDenied while nothing is known yet."""
        return self._find(target)[0]

    def _find(self, target: Target) -> tuple[Gate, FilterChain]:
        context = self._context
        directory = context.directory
        if not directory.is_complete:
            raise AccessDenied("the control plane has not told any policies yet")
        version = (context.state.version, directory.further)
        if self._made_for is None or self._made_for[0] != version[0] or self._made_for[1] is not version[1]:
            self._made_for = version
            self._by_name.clear()
            self._look_at_gateway(directory.further)
        found = self._by_name.get(target.name)
        if found is None:
            found = self._by_name[target.name] = self._make(target)
        return found

    def _look_at_gateway(self, further: Further) -> None:
        context = self._context
        own = context.workload
        self._gateway = gateway_of(context.settings.gateway, own, further)
        gateway = further.manifests.find(Gateway, own.namespace, self._gateway)
        self.tells_identity = gateway is not None and gateway.metadata.annotations.get(TELL_IDENTITY) == "true"

    def _make(self, target: Target) -> tuple[Gate, FilterChain]:
        context = self._context
        own, further = context.workload, context.directory.further
        service = None if target.meant.record is None else target.meant.record.service
        gate = self._gates.of(further, own, self._gateway, service)
        for problem in gate.problems:
            log.warning("%s", problem)
        return gate, FilterChain(
            [gate.tokens, gate.requests, *self._user_filters.filters, *self._limits(service), *self._faults(service)]
        )

    def _limits(self, service: Service | None) -> list[HttpFilter]:
        """A bucket that stays in the file stays as full as it is."""
        entries = self._context.directory.further.chain.rate_limits
        self._buckets = {entry: self._buckets.get(entry) or _bucket(entry) for entry in entries}
        return [bucket for entry, bucket in self._buckets.items() if entry.service == _name(service)]

    def _faults(self, service: Service | None) -> list[HttpFilter]:
        found: list[HttpFilter] = []
        for entry in self._context.directory.further.chain.faults:
            if entry.service == _name(service):
                rules = FaultRules(entry.delay, entry.delay_percent, entry.abort_status, entry.abort_percent)
                found += [DelayFault(rules), AbortFault(rules)]
        return found


def _name(service: Service | None) -> str:
    return "" if service is None else f"{service.namespace}/{service.name}"


def _bucket(entry: LimitEntry) -> RateLimit:
    return RateLimit(RateRules(entry.max_tokens, entry.tokens_per_fill, entry.fill_interval))
