"""Which traces are recorded, by OpenTelemetry's names."""

from __future__ import annotations

import pytest

from mesh_py.tracing.sampling import Sampler

LOW, HIGH = 1, (1 << 128) - 1


@pytest.mark.parametrize(
    ("name", "alone", "with_sampled_parent", "with_unsampled_parent"),
    [
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("traceidratio", True, True, True),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
        ("parentbased_traceidratio", True, True, False),
    ],
)
def test_who_decides(name: str, alone: bool, with_sampled_parent: bool, with_unsampled_parent: bool) -> None:
    sampler = Sampler(name, 0.5)
    asked = [sampler.records(LOW, parent) for parent in (None, True, False)]
    assert asked == [alone, with_sampled_parent, with_unsampled_parent]


@pytest.mark.parametrize(("ratio", "low", "high"), [(0.0, False, False), (0.5, True, False), (1.0, True, True)])
def test_the_ratio_goes_by_the_trace(ratio: float, low: bool, high: bool) -> None:
    sampler = Sampler("traceidratio", ratio)
    assert (sampler.records(LOW, None), sampler.records(HIGH, None)) == (low, high)


def test_as_many_are_recorded_as_were_asked_for() -> None:
    sampler = Sampler("parentbased_traceidratio", 0.1)
    step = (1 << 64) // 1000
    assert sum(sampler.records(number * step, None) for number in range(1, 1001)) == 100
