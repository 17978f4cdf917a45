"""Finding the selectors that select a workload."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from istiod_py.ambient.selection import Likenesses, Selectors

LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"))
NAMESPACES = st.sampled_from(("x", "y"))


def test_workloads_are_alike_by_the_labels_that_selectors_look_at() -> None:
    likenesses = Likenesses([("x", {"app": "web"}), ("x", {"tier": "db"}), ("y", {"pod": "1"})])
    first = likenesses.of("x", {"app": "web", "pod": "1"})
    assert first == likenesses.of("x", {"app": "web", "pod": "2"})
    assert first != likenesses.of("x", {"app": "web", "tier": "db"})
    assert first != likenesses.of("y", {"app": "web", "pod": "1"})
    assert likenesses.of("z", {"app": "web"}) == likenesses.of("z", {})


@given(st.lists(st.tuples(NAMESPACES, LABELS)), st.lists(st.tuples(NAMESPACES, LABELS)))
def test_the_same_are_found_as_by_trying_all(
    selectors: list[tuple[str, dict[str, str]]], workloads: list[tuple[str, dict[str, str]]]
) -> None:
    index = Selectors((namespace, selector, n) for n, (namespace, selector) in enumerate(selectors))
    for namespace, labels in workloads * 2:
        expected = [
            n
            for n, (of, selector) in enumerate(selectors)
            if selector and of == namespace and selector.items() <= labels.items()
        ]
        assert list(index.selecting(namespace, labels)) == expected
