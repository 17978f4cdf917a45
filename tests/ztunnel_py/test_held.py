"""What waits to be decided ends once, and a drain sees it."""

from __future__ import annotations

import pytest

from hbone_py.errors import HboneError
from ztunnel_py.connections import Connections, DrainCut
from ztunnel_py.held import Held


class Desk:
    """Connections, and what happened to one that is held."""

    def __init__(self) -> None:
        self.connections = Connections()
        self.happened: list[object] = []
        self.held = Held(self.connections, self.happened.append)


def test_it_goes_on_once() -> None:
    desk = Desk()
    desk.held.go_on(lambda: desk.happened.append("went on"))
    desk.held.go_on(lambda: desk.happened.append("again"))
    desk.held.cut(HboneError("too late"))
    assert desk.happened == ["went on"]
    assert not desk.connections.pending


def test_a_drain_waits_for_it_until_it_has_become_something() -> None:
    desk = Desk()
    desk.connections.when_empty(lambda: desk.happened.append("empty"))
    desk.held.go_on(lambda: desk.happened.append("went on"))
    assert desk.happened == ["went on", "empty"]


def test_at_the_drains_deadline_it_is_refused() -> None:
    desk = Desk()
    desk.connections.cut_all()
    [error] = desk.happened
    assert isinstance(error, DrainCut)
    assert not desk.connections.pending


def test_a_decision_that_fails_leaves_nothing_pending() -> None:
    desk = Desk()

    def fail() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        desk.held.go_on(fail)
    assert not desk.connections.pending
