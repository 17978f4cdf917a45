"""What perf says of system calls."""

import pytest

from benchmarks.calls import COUNTED, calls_of
from benchmarks.processes import BenchmarkError
from benchmarks.scenarios import SCENARIOS


def test_the_count_is_read_past_what_else_perf_writes() -> None:
    text = "# started on Sun Nov 29 08:31:56 2026\n\n42017,,raw_syscalls:sys_enter,1000000,100.00,,\n"
    assert calls_of(text) == 42017


@pytest.mark.parametrize("text", ["", "<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"])
def test_nothing_counted_is_an_error(text: str) -> None:
    with pytest.raises(BenchmarkError, match="perf stat counted no raw_syscalls:sys_enter"):
        calls_of(text)


def test_what_is_counted_are_scenarios() -> None:
    assert set(COUNTED) <= {scenario.name for scenario in SCENARIOS}
