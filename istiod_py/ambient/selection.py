"""Which selectors select a workload, without trying them all [pure]."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from mesh_py.manifests.selector import has_labels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.manifests.metadata import Labels

Selected = TypeVar("Selected")
Likeness = tuple[str, frozenset[tuple[str, str]]]
"""What two workloads have in common that the same selectors select."""


class Likenesses:
    """Tells which workloads are alike to a set of selectors.

    Pods of one Deployment share the labels that selectors ask for, and may have others of their own, as a StatefulSet
    gives each pod its name.
    """

    def __init__(self, selectors: Iterable[tuple[str, Labels]]) -> None:
        self._keys: dict[str, set[str]] = defaultdict(set)
        for namespace, selector in selectors:
            self._keys[namespace].update(selector)

    def of(self, namespace: str, labels: Labels) -> Likeness:
        """The namespace, and the labels that any selector of it looks at."""
        keys = self._keys.get(namespace, ())
        return namespace, frozenset((key, labels[key]) for key in keys if key in labels)


class Selectors(Generic[Selected]):
    """Label selectors of namespaces and what each stands for.

    A selector is filed under the first of its labels, so that a workload meets only those that share one with it. For
    workloads that are alike the answer is found once.
    """

    def __init__(self, entries: Iterable[tuple[str, Labels, Selected]] = ()) -> None:
        given = [entry for entry in entries if entry[1]]
        self._likenesses = Likenesses((namespace, selector) for namespace, selector, _ in given)
        self._filed: dict[tuple[str, str, str], list[tuple[int, Labels, Selected]]] = defaultdict(list)
        self._found: dict[Likeness, tuple[Selected, ...]] = {}
        for order, (namespace, selector, value) in enumerate(given):
            self._filed[(namespace, *min(selector.items()))].append((order, selector, value))

    def selecting(self, namespace: str, labels: Labels) -> tuple[Selected, ...]:
        """What selects these labels in this namespace, in the order of the entries; empty selectors never do."""
        key = self._likenesses.of(namespace, labels)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = tuple(self._search(namespace, labels))
        return found

    def _search(self, namespace: str, labels: Labels) -> list[Selected]:
        candidates = [one for label in labels.items() for one in self._filed.get((namespace, *label), ())]
        matching = [(order, value) for order, selector, value in candidates if has_labels(labels, selector)]
        return [value for _, value in sorted(matching, key=lambda pair: pair[0])]
