"""What memory is held for is found by its line."""

from __future__ import annotations

import pytest

from mesh_py.admin.heap import HeapError, allocations_are_noted, heap_profile, note_allocations


def test_nothing_is_told_before_it_is_noted_nor_after() -> None:
    for wanted in (True, False):
        note_allocations(wanted=wanted)
        note_allocations(wanted=wanted)
        assert allocations_are_noted() is wanted
    with pytest.raises(HeapError, match="activate=true"):
        heap_profile()


def test_who_holds_memory_is_found() -> None:
    note_allocations(wanted=True)
    try:
        kept = bytearray(1_000_000)
        profile = heap_profile()
    finally:
        note_allocations(wanted=False)
    assert __file__.encode() in profile, f"who holds {len(kept)} bytes"
