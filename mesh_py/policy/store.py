"""The policies known, and which of them apply to a workload (hbone-controlplane 4.2) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.model.authorization import Policy, Scope
from mesh_py.policy.rbac import CompiledPolicy, PolicySet, compile_policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mesh_py.model.workload import Workload

_EVERYWHERE = ""


class PolicyStore:
    """Policies by name. What applies to a workload is compiled once and kept until a policy changes."""

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change; an open connection is judged again when it has grown."""
        self._awaited: tuple[str, ...] = ()
        self._policies: dict[str, CompiledPolicy] = {}
        self._by_namespace: dict[str, dict[str, CompiledPolicy]] = {}
        self._sets: dict[tuple[str, tuple[str, ...]], PolicySet] = {}

    def __len__(self) -> int:
        return len(self._policies)

    def __iter__(self) -> Iterator[Policy]:
        return (compiled.policy for compiled in self._policies.values())

    def get(self, key: str) -> Policy | None:
        """The policy of that name (`namespace/name`)."""
        compiled = self._policies.get(key)
        return compiled.policy if compiled else None

    def keys(self) -> Iterable[str]:
        """The names of all policies."""
        return self._policies.keys()

    def upsert(self, policy: Policy, key: str | None = None) -> None:
        """Add a policy or replace the one of the same name; `key` if workloads know it by another name."""
        key = key or policy.key
        self._forget(key)
        compiled = compile_policy(policy)
        self._policies[key] = compiled
        place = _namespace_index(policy)
        if place is not None:
            self._by_namespace.setdefault(place, {})[key] = compiled
        self._changed()

    def remove(self, key: str) -> bool:
        """Forget a policy. Returns whether it was known."""
        known = self._forget(key)
        if known:
            self._changed()
        return known

    def await_all(self, what: str) -> None:
        """From now on every workload misses `what` as well: policies that nobody can name yet are on their way."""
        self._awaited = (what,)
        self._changed()

    def all_known(self) -> bool:
        """What was awaited is here. Returns whether anything was."""
        was_awaited = bool(self._awaited)
        if was_awaited:
            self._awaited = ()
            self._changed()
        return was_awaited

    def applicable(self, workload: Workload) -> PolicySet:
        """The policies of the workload's namespace, the global ones, and those it names."""
        key = (workload.namespace, workload.authorization_policies)
        found = self._sets.get(key)
        if found is None:
            found = self._sets[key] = self._collect(*key)
        return found

    def _collect(self, namespace: str, names: tuple[str, ...]) -> PolicySet:
        chosen = dict(self._by_namespace.get(namespace, {})) if namespace else {}
        chosen.update(self._by_namespace.get(_EVERYWHERE, {}))
        missing = list(self._awaited)
        for name in names:
            compiled = self._policies.get(name)
            if compiled is None:
                missing.append(name)
            else:
                chosen[name] = compiled
        return PolicySet(tuple(chosen.values()), tuple(missing))

    def _forget(self, key: str) -> bool:
        old = self._policies.pop(key, None)
        if old is None:
            return False
        place = _namespace_index(old.policy)
        if place is not None:
            del self._by_namespace[place][key]
        return True

    def _changed(self) -> None:
        self._sets.clear()
        self.version += 1


def _namespace_index(policy: Policy) -> str | None:
    if policy.scope is Scope.GLOBAL:
        return _EVERYWHERE
    return policy.namespace if policy.scope is Scope.NAMESPACE else None
