"""Waits between streams, row by row of hbone-controlplane 2.6."""

from __future__ import annotations

import itertools

import pytest

from mesh_py.xds.backoff import FIRST, LONGEST, Backoff, Ending


def never() -> float:
    return 0.0


def waits(*endings: Ending, useful: bool = True) -> list[int]:
    """How long to wait after each of these in turn, in milliseconds, without chance."""
    backoff, found = Backoff(), []
    for ending in endings:
        wait, backoff = backoff.after(ending, never, was_useful=useful)
        found.append(round(wait * 1000))
    return found


FAILED, RECONNECT, ERROR, COMPLETE = Ending.CONNECTION_ERROR, Ending.RECONNECT, Ending.ERROR, Ending.COMPLETE


@pytest.mark.parametrize(
    ("endings", "milliseconds"),
    [
        pytest.param([FAILED] * 4, [20, 40, 80, 160], id="nobody there: twice as long each time"),
        pytest.param([FAILED] * 13, [20 * 2**n for n in range(10)] + [15000] * 3, id="at most 15 seconds"),
        pytest.param([ERROR, FAILED, ERROR], [20, 40, 80], id="errors of all kinds add up"),
        pytest.param([FAILED, FAILED, RECONNECT, FAILED], [20, 40, 10, 20], id="let go of: a moment, and afresh"),
        pytest.param([FAILED, FAILED, COMPLETE, FAILED], [20, 40, 0, 20], id="ended in order: at once, and afresh"),
    ],
)
def test_waits(endings: list[Ending], milliseconds: list[int]) -> None:
    assert waits(*endings) == milliseconds


def test_streams_that_end_before_a_word_was_said_are_failures() -> None:
    assert waits(COMPLETE, COMPLETE, COMPLETE, useful=False) == [20, 40, 80]


def test_streams_that_end_as_soon_as_they_are_open_are_failures_from_the_second_on() -> None:
    backoff, found = Backoff(), []
    for ending, lasted in [(COMPLETE, 0.1), (RECONNECT, 0.1), (COMPLETE, 0.9), (COMPLETE, 1.0), (RECONNECT, 0.0)]:
        wait, backoff = backoff.after(ending, never, lasted=lasted)
        found.append(round(wait * 1000))
    assert found == [0, 40, 80, 0, 10]


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_chance_shortens_a_wait_by_half_at_most_and_is_forgotten(chance: float) -> None:
    backoff = Backoff()
    for expected in itertools.islice((20 * 2**n for n in itertools.count()), 8):
        wait, backoff = backoff.after(FAILED, lambda: chance)
        assert wait == pytest.approx(expected / 1000 * (1 - chance / 2))
        assert backoff.last == expected / 1000


def test_the_bounds() -> None:
    assert (FIRST, LONGEST) == (0.010, 15.0)
