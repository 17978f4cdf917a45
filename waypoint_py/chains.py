"""The filters in front of each destination, in one ordered list (docs/filters.md)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_py.http.errors import AccessDenied
from mesh_py.http.filters.base import FilterChain
from waypoint_py.policies import Gate, Gates, gateway_of

if TYPE_CHECKING:
    from mesh_py.manifests.proxy_file import Further
    from waypoint_py.attached import Target
    from waypoint_py.context import WaypointContext

log = logging.getLogger("policy")


class Chains:
    """Made when first needed, and anew when the mesh or the manifests change."""

    def __init__(self, context: WaypointContext) -> None:
        self._context = context
        self._gates = Gates(context.settings.root_namespace, lambda path: Path(path).read_text(encoding="utf-8"))
        self._made_for: tuple[int, Further] | None = None
        self._by_name: dict[str, tuple[Gate, FilterChain]] = {}

    @property
    def problems(self) -> list[str]:
        """What the policies in use ask that cannot be judged as written."""
        return list(dict.fromkeys(problem for gate, _ in self._by_name.values() for problem in gate.problems))

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
        found = self._by_name.get(target.name)
        if found is None:
            found = self._by_name[target.name] = self._make(target)
        return found

    def _make(self, target: Target) -> tuple[Gate, FilterChain]:
        context = self._context
        own, further = context.workload, context.directory.further
        service = None if target.meant.record is None else target.meant.record.service
        gateway = gateway_of(context.settings.gateway, own, further)
        gate = self._gates.of(further.manifests, own, gateway, service)
        for problem in gate.problems:
            log.warning("%s", problem)
        return gate, FilterChain([gate.tokens, gate.requests])
