"""Counters, gauges, histograms: arithmetic and bounds."""

from __future__ import annotations

import pytest

from mesh_py.telemetry import instruments
from mesh_py.telemetry.instruments import Counter, Gauge, Histogram


def test_a_counter_counts_per_label_set():
    counter = Counter("requests", "Requests", ("kind",))
    counter.increase(("a",))
    counter.increase(("a",), 4)
    counter.increase(("b",))
    assert counter.family.samples == {("a",): [5], ("b",): [1]}


def test_a_gauge_is_set_and_changed():
    gauge = Gauge("open", "Open")
    gauge.set(5)
    gauge.change(-2)
    assert gauge.family.samples == {(): [3]}


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0.0, 0), (0.5, 0), (1.0, 0), (1.1, 1), (2.0, 1), (2.5, 2)],
)
def test_an_observation_falls_under_the_first_bound_that_holds_it(value: float, bucket: int):
    histogram = Histogram("seconds", "Seconds", bounds=(1.0, 2.0))
    histogram.observe(value)
    expected = [0, 0, 0, value]
    expected[bucket] = 1
    assert histogram.family.samples == {(): expected}


def test_label_sets_are_bounded(monkeypatch):
    monkeypatch.setattr(instruments, "LABEL_SETS_KEPT", 3)
    counter = Counter("requests", "Requests", ("name", "kind"))
    for number in range(10):
        counter.increase((str(number), "x"))
    assert counter.family.samples == {
        ("0", "x"): [1],
        ("1", "x"): [1],
        ("2", "x"): [1],
        ("other", "other"): [7],
    }


def test_a_wrong_number_of_labels_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="requests has the labels"):
        Counter("requests", "Requests", ("kind",)).increase(("a", "b"))


@pytest.mark.parametrize(("join", "together"), [("sum", 8), ("max", 5)])
def test_families_of_two_processes_join(join, together):
    one, other = Gauge("g", "G", ("l",), join=join), Gauge("g", "G", ("l",), join=join)
    one.set(5, ("a",))
    other.set(3, ("a",))
    other.set(1, ("b",))
    one.family.add(other.family)
    assert one.family.samples == {("a",): [together], ("b",): [1]}


def test_a_copy_counts_no_further():
    counter = Counter("c", "C")
    counter.increase()
    copy = counter.family.copy()
    counter.increase()
    assert (copy.samples, counter.family.samples) == ({(): [1]}, {(): [2]})
