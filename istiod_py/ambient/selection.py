"""Which selectors select a workload, without trying them all [pure]."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from mesh_py.manifests.selector import has_labels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.manifests.metadata import Labels

Selected = TypeVar("Selected")


class Selectors(Generic[Selected]):
    """Label selectors of namespaces and what each stands for.

    A selector is filed under the first of its labels, so that a workload meets only those that share one with it. Pods
    of one Deployment have the same labels: their answer is found once.
    """

    def __init__(self, entries: Iterable[tuple[str, Labels, Selected]] = ()) -> None:
        self._filed: dict[tuple[str, str, str], list[tuple[int, Labels, Selected]]] = defaultdict(list)
        self._found: dict[tuple[str, frozenset[tuple[str, str]]], tuple[Selected, ...]] = {}
        for order, (namespace, selector, value) in enumerate(entries):
            if selector:
                self._filed[(namespace, *min(selector.items()))].append((order, selector, value))

    def selecting(self, namespace: str, labels: Labels) -> tuple[Selected, ...]:
        """What selects these labels in this namespace, in the order of the entries; empty selectors never do."""
        key = (namespace, frozenset(labels.items()))
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = tuple(self._search(namespace, labels))
        return found

    def _search(self, namespace: str, labels: Labels) -> list[Selected]:
        candidates = [one for label in labels.items() for one in self._filed.get((namespace, *label), ())]
        matching = [(order, value) for order, selector, value in candidates if has_labels(labels, selector)]
        return [value for _, value in sorted(matching, key=lambda pair: pair[0])]
