"""What holds from one state to the next."""

from __future__ import annotations

from istiod_py.envoy.memory import Memory


def new() -> list[str]:
    return []


def test_what_was_made_from_the_same_is_not_made_again() -> None:
    memory = Memory()
    first = memory.recall("a", (1, 2), new)
    assert memory.recall("a", (1, 2), new) is first
    assert memory.recall("a", (1, 3), new) is not first
    assert memory.recall("b", (1, 2), new) is not first


def test_it_lasts_while_every_state_asks() -> None:
    memory = Memory()
    first = memory.recall("a", 1, new)
    for _ in range(3):
        memory.next_state()
        assert memory.recall("a", 1, new) is first
    memory.next_state()
    memory.next_state()
    assert len(memory) == 0
    assert memory.recall("a", 1, new) is not first
