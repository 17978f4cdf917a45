"""How each test of this run ended, for the tests that judge the run itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

OUTCOMES: dict[str, str] = {}
"""`passed`, `skipped` or `failed` by node id, as far as the run has come."""

JUDGES = ("test_parity.py",)
"""Files whose tests come last, because they look at how the others ended."""


def note(report: pytest.TestReport) -> None:
    """Remember the worst that was reported of a test."""
    if report.failed:
        OUTCOMES[report.nodeid] = "failed"
    elif report.skipped:
        OUTCOMES.setdefault(report.nodeid, "skipped")
    elif report.when == "call":
        OUTCOMES.setdefault(report.nodeid, "passed")


def judges_last(items: list[pytest.Item]) -> None:
    """Put the judges behind all others; the order is otherwise as it was."""
    items.sort(key=lambda item: item.path.name in JUDGES)


def without_parameters(nodeids: Iterable[str]) -> set[str]:
    """The tests as they are written: all cases of a table are one."""
    return {nodeid.partition("[")[0] for nodeid in nodeids}
