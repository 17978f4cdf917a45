"""How each test of this run ended, for the tests that judge the run itself.

A run may be spread over processes (`make test` is). Then a judge in one of them sees its own part only, so each tells
the one that leads what it was asked for, and that one judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

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


def asked_for(session: pytest.Session) -> list[str]:
    """The tests this process was asked for, whoever runs them in the end."""
    return [item.nodeid for item in session.items]


def is_a_part(config: pytest.Config) -> bool:
    """Whether other processes run tests of the same run."""
    return hasattr(config, "workerinput")


def not_run(asked: Iterable[str], named: Collection[str], allowed: Collection[str]) -> dict[str, str | None]:
    """Tests that were asked for, are among the named ones (one case or all of them), and did not end as allowed."""
    due = (nodeid for nodeid in asked if nodeid in named or nodeid.partition("[")[0] in named)
    return {nodeid: OUTCOMES.get(nodeid) for nodeid in due if OUTCOMES.get(nodeid) not in allowed}
