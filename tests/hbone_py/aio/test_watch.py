"""The reactor's wait: asleep as a rule, awake for a moment where messages follow each other closely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.watch import BATCH, LINGER, LONG_REST, SHORT_REST, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

EVENT = [(7, 1)]
SOON, LATE = LINGER / 2, LINGER * 2
LOOK = LINGER / 50
"""What a look of the pretended kernel's costs."""


class Kernel:
    """An epoll whose next events are so many seconds away; tells what was asked of it and what time it is."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked: list[float] = []
        self._arrivals: list[float] = []

    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]:
        assert maxevents == BATCH
        self.asked.append(timeout)
        arrival = self._arrivals[0] if self._arrivals else float("inf")
        self.now = max(self.now + LOOK, arrival if timeout < 0 else min(arrival, self.now + timeout))
        if self.now < arrival:
            return []
        self._arrivals.pop(0)
        return EVENT

    def clock(self) -> float:
        return self.now

    def bring(self, seconds: float) -> None:
        self._arrivals.append(self.now + seconds)

    def pass_by(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    def sleeps(self) -> list[float]:
        """How long it was asked to sleep since the last time, and was; looks left out."""
        asked, self.asked = self.asked, []
        return [timeout for timeout in asked if timeout]


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def watch(kernel: Kernel) -> Watch:
    return Watch(kernel, kernel.clock)


def hear(watch: Watch, kernel: Kernel, seconds: float, timeout: float = -1.0) -> list[float]:
    """A message comes after so many seconds: how it was waited for."""
    kernel.bring(seconds)
    assert watch.wait(timeout) == EVENT
    watch.served(1)
    return kernel.sleeps()


def test_the_first_wait_is_asleep(watch: Watch, kernel: Kernel) -> None:
    assert hear(watch, kernel, SOON) == [-1.0]


def test_messages_that_follow_closely_find_it_awake(watch: Watch, kernel: Kernel) -> None:
    hear(watch, kernel, SOON)
    assert [hear(watch, kernel, SOON) for _ in range(3)] == [[], [], []]


def test_who_may_not_linger_sleeps_however_closely_they_follow(watch: Watch, kernel: Kernel) -> None:
    watch.may_linger = False
    assert [hear(watch, kernel, SOON) for _ in range(3)] == [[-1.0]] * 3


def test_who_stays_away_lets_it_sleep_until_somebody_hurries_again(watch: Watch, kernel: Kernel) -> None:
    waits = [hear(watch, kernel, seconds) for seconds in (SOON, LATE, SOON, SOON, LATE, LATE)]
    assert waits == [[-1.0], [-1.0], [-1.0], [], [-1.0], [-1.0]]


def test_it_lingers_no_longer_than_it_may(watch: Watch, kernel: Kernel) -> None:
    hear(watch, kernel, SOON)
    began = kernel.now
    assert watch.wait(1.0) == []
    assert kernel.now == pytest.approx(began + 1.0)
    assert kernel.sleeps() == [pytest.approx(1.0 - LINGER, abs=LOOK)]
    assert hear(watch, kernel, SOON) == [-1.0], "a wait in vain is followed by sleep"


def test_a_timer_that_is_due_before_ends_it(watch: Watch, kernel: Kernel) -> None:
    hear(watch, kernel, SOON)
    began = kernel.now
    assert watch.wait(SOON) == []
    assert kernel.now - began < LINGER * 1.1


def test_its_core_is_offered_after_each_look(watch: Watch, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    offers: list[float] = []
    monkeypatch.setattr("os.sched_yield", lambda: offers.append(kernel.now))
    hear(watch, kernel, SOON)
    kernel.bring(LOOK * 4.5)
    watch.wait(-1.0)
    assert len(offers) == 4


@pytest.fixture
def lose(watch: Watch, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Offer the core once, and have it back after so many seconds."""

    def lose(seconds: float) -> None:
        hear(watch, kernel, SOON)
        with monkeypatch.context() as changed:
            changed.setattr("os.sched_yield", lambda: kernel.pass_by(seconds))
            hear(watch, kernel, SOON)

    return lose


def rests(watch: Watch, kernel: Kernel) -> bool:
    """Whether it is asleep where messages follow closely."""
    hear(watch, kernel, SOON)
    return hear(watch, kernel, SOON) == [-1.0]


def rested(watch: Watch, kernel: Kernel) -> float:
    """For how many seconds it was so."""
    began = kernel.now
    while rests(watch, kernel):
        kernel.pass_by(SHORT_REST / 2)
    return kernel.now - began


@pytest.mark.parametrize(("taken", "expected"), [(SOON, False), (LATE, False), (0.004, True)])
def test_who_loses_its_core_by_offering_it_rests(
    watch: Watch, kernel: Kernel, lose: Callable[[float], None], taken: float, expected: bool
) -> None:
    lose(taken)
    assert rests(watch, kernel) is expected
    kernel.pass_by(SHORT_REST)
    assert not rests(watch, kernel)


def test_who_loses_it_again_and_again_rests_twice_as_long_each_time(
    watch: Watch, kernel: Kernel, lose: Callable[[float], None]
) -> None:
    lasted = []
    for _ in range(9):
        lose(0.004)
        lasted.append(rested(watch, kernel))
    assert lasted == [pytest.approx(min(SHORT_REST * 2**n, LONG_REST), abs=SHORT_REST) for n in range(9)]


def test_who_has_had_its_core_for_a_time_rests_shortly_again(
    watch: Watch, kernel: Kernel, lose: Callable[[float], None]
) -> None:
    for _ in range(5):
        lose(0.004)
        rested(watch, kernel)
    kernel.pass_by(LONG_REST)
    lose(0.004)
    assert rested(watch, kernel) == pytest.approx(SHORT_REST, abs=SHORT_REST)


def test_a_look_waits_for_nobody(watch: Watch, kernel: Kernel) -> None:
    hear(watch, kernel, SOON)
    assert watch.wait(0) == []
    assert kernel.asked == [0]


def test_among_many_it_sleeps(watch: Watch, kernel: Kernel) -> None:
    hear(watch, kernel, SOON)
    watch.served(8)
    assert hear(watch, kernel, SOON) == [-1.0]


def test_a_crowd_is_many_at_once_of_late_and_none_once_bulk_moves(watch: Watch) -> None:
    told = [watch.is_crowded]
    for _ in range(8):
        watch.served(4)
    told.append(watch.is_crowded)
    watch.moved_bulk()
    assert [*told, watch.is_crowded] == [False, True, False]
