"""What is remembered of a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.support import outcomes
from tests.support.outcomes import judges_last, note, without_parameters


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found: dict[str, str] = {}
    monkeypatch.setattr(outcomes, "OUTCOMES", found)
    return found


def reported(*phases: tuple[str, str]) -> None:
    """The reports of one test: (phase, outcome) each."""
    for when, outcome in phases:
        report = SimpleNamespace(
            nodeid="t", when=when, passed=outcome == "passed", failed=outcome == "failed", skipped=outcome == "skipped"
        )
        note(cast("pytest.TestReport", report))


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ([("setup", "passed"), ("call", "passed"), ("teardown", "passed")], "passed"),
        ([("setup", "skipped"), ("teardown", "passed")], "skipped"),
        ([("setup", "passed"), ("call", "skipped"), ("teardown", "passed")], "skipped"),
        ([("setup", "passed"), ("call", "passed"), ("teardown", "failed")], "failed"),
        ([("setup", "failed"), ("teardown", "passed")], "failed"),
    ],
)
def test_the_worst_counts(remembered: dict[str, str], phases: list[tuple[str, str]], expected: str) -> None:
    reported(*phases)
    assert remembered == {"t": expected}


def test_a_test_that_is_running_has_no_outcome(remembered: dict[str, str]) -> None:
    reported(("setup", "passed"))
    assert remembered == {}


def test_judges_come_last_and_the_rest_keeps_its_order() -> None:
    names = ["test_parity.py", "test_b.py", "test_a.py"]
    items = [cast("pytest.Item", SimpleNamespace(path=Path(name))) for name in names]
    judges_last(items)
    assert [item.path.name for item in items] == ["test_b.py", "test_a.py", "test_parity.py"]


def test_all_rows_of_a_table_are_one_test() -> None:
    assert without_parameters(["a::b[1]", "a::b[2]", "a::c"]) == {"a::b", "a::c"}
