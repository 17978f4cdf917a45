"""Finding the selectors that select a workload."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from istiod_py.ambient.selection import Selectors

LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"))
NAMESPACES = st.sampled_from(("x", "y"))


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
