"""JSON logs, and what stands between their lines."""

from __future__ import annotations

from lab_py.evidence.log_lines import read_log


def test_lines_that_are_objects_are_evidence() -> None:
    text = '{"message": "one"}\nTraceback (most recent call last):\n{"message": "tw'
    assert read_log(text) == [{"message": "one"}]
