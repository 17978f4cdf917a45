"""The timer wheel: late by at most a tick, never early, and a cancelled call never comes."""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.wheel import TICK, Timer, TimerWheel
from tests.support.clock import PendingCall, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def wheel(clock: VirtualClock) -> TimerWheel:
    return TimerWheel(clock)


@pytest.mark.parametrize("seconds", [0.0, 0.1, TICK, 1.0, 9.99, 300.0])
def test_a_call_is_never_early_and_late_by_a_tick_at_most(
    clock: VirtualClock, wheel: TimerWheel, seconds: float
) -> None:
    called: list[float] = []
    start = clock.time()
    wheel.after(seconds, lambda: called.append(clock.time() - start))
    clock.advance(seconds + 2 * TICK)
    assert len(called) == 1
    assert seconds <= called[0] <= seconds + 2 * TICK


def test_calls_come_in_the_order_of_their_time(clock: VirtualClock, wheel: TimerWheel) -> None:
    called: list[int] = []
    for seconds in (5, 1, 3):
        wheel.after(seconds, functools.partial(called.append, seconds))
    clock.advance(10)
    assert called == [1, 3, 5]


def test_late_ticks_keep_the_order_too(clock: VirtualClock, wheel: TimerWheel) -> None:
    """A loop that was busy for seconds finds several ticks' calls at once."""
    called: list[int] = []
    for seconds in (5, 1, 3):
        wheel.after(seconds, functools.partial(called.append, seconds))
    clock.jump(10)
    clock.advance(TICK)
    assert called == [1, 3, 5]


def test_a_cancelled_call_never_comes(clock: VirtualClock, wheel: TimerWheel) -> None:
    timer = wheel.after(1, lambda: pytest.fail("it was cancelled"))
    timer.cancel()
    timer.cancel()
    clock.advance(10)
    assert wheel.pending == 0


def test_a_call_cancelled_by_its_neighbour_of_the_same_tick_never_comes(clock: VirtualClock, wheel: TimerWheel) -> None:
    timers: list[Timer] = []

    def cancel_all() -> None:
        called.append("one")
        for timer in timers:
            timer.cancel()

    called: list[str] = []
    timers += [wheel.after(1, cancel_all), wheel.after(1, cancel_all)]
    clock.advance(10)
    assert called == ["one"]


def test_a_call_may_ask_for_the_next(clock: VirtualClock, wheel: TimerWheel) -> None:
    called: list[float] = []

    def again() -> None:
        called.append(clock.time())
        if len(called) < 3:
            wheel.after(0, again)

    wheel.after(0, again)
    clock.advance(4 * TICK)
    assert len(called) == 3


def test_a_failing_call_is_reported_and_stops_no_other(clock: VirtualClock, wheel: TimerWheel) -> None:
    called: list[str] = []

    def fail() -> None:
        raise RuntimeError("a bad call")

    wheel.after(1, fail)
    wheel.after(1, lambda: called.append("same tick"))
    wheel.after(2, lambda: called.append("later tick"))
    clock.advance(10)
    assert called == ["same tick", "later tick"]
    assert [str(problem["exception"]) for problem in clock.problems] == ["a bad call"]


def test_many_calls_of_one_tick_leave_others_their_turns(clock: VirtualClock, wheel: TimerWheel) -> None:
    """As when hundreds of connections were left unused at the same moment. None is forgotten, none comes twice."""
    turns: list[int] = []
    called: list[int] = []

    def work(number: int) -> None:
        called.append(number)
        turns[-1] += 1

    class Turns(VirtualClock):
        def call_later(self, delay: float, callback: Callable[..., object], *arguments: object) -> PendingCall:
            def turn() -> None:
                turns.append(0)
                callback(*arguments)

            return super().call_later(delay, turn)

    busy = Turns()
    crowded = TimerWheel(busy)
    for number in range(100):
        crowded.after(1, functools.partial(work, number))
    crowded.after(2, functools.partial(work, 100))
    busy.advance(1 + 2 * TICK)
    assert called == list(range(100))
    assert max(turns) <= 16
    busy.advance(2)
    assert called[-1] == 100
    assert (busy.pending, crowded.pending) == (0, 0)


def test_neither_a_call_that_came_nor_one_cancelled_keeps_its_owner_alive(
    clock: VirtualClock, wheel: TimerWheel
) -> None:
    class Owner:
        def call(self) -> None:
            """What the timer is for."""

    fired, cancelled = Owner(), Owner()
    kept = [wheel.after(1, fired.call), wheel.after(1, cancelled.call)]
    seen = [weakref.ref(fired), weakref.ref(cancelled)]
    kept[1].cancel()
    clock.advance(2)
    del fired, cancelled
    assert [ref() for ref in seen] == [None, None]


def test_it_ticks_only_while_something_is_pending(clock: VirtualClock, wheel: TimerWheel) -> None:
    assert clock.pending == 0
    wheel.after(1, lambda: None)
    assert (clock.pending, wheel.pending) == (1, 1)
    clock.advance(10)
    assert (clock.pending, wheel.pending) == (0, 0)


def test_a_closed_wheel_calls_nobody(clock: VirtualClock, wheel: TimerWheel) -> None:
    wheel.after(1, lambda: pytest.fail("it was closed"))
    wheel.close()
    clock.advance(10)
    assert (clock.pending, wheel.pending) == (0, 0)
