"""Several values per key, in order."""

from __future__ import annotations

from mesh_py.discovery.multimap import Multimap


def test_values_keep_their_order_and_go_one_by_one() -> None:
    index: Multimap[str, list[int]] = Multimap()
    first, second, twin = [1], [2], [1]
    for value in (first, second, twin):
        index.add("key", value)
    assert index.get("key") == ([1], [2], [1])
    index.discard("key", twin)
    assert index.get("key")[0] is first
    index.discard("key", first)
    index.discard("key", [2])
    assert index.get("key") == ([2],)
    index.discard("key", second)
    index.discard("key", second)
    assert index.get("key") == ()
    assert not index


def test_a_reader_keeps_what_it_got() -> None:
    index: Multimap[str, int] = Multimap()
    index.add("key", 1)
    seen = index.get("key")
    index.add("key", 2)
    index.put("other", (3, 4))
    assert seen == (1,)
    assert index.get("other") == (3, 4)
    assert index
