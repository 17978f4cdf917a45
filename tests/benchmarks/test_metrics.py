"""How figures are written."""

import pytest

from benchmarks.metrics import metric_named


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("gbit_s", 7.3251, "7.33"),
        ("per_second", 43210.6, "43,211"),
        ("cpu_us_per_op", 61.25, "61.2"),
        ("rss_mb", 187.4, "187"),
    ],
)
def test_a_figure_is_written_with_its_digits(key: str, value: float, text: str) -> None:
    assert metric_named(key).write(value) == text
