"""Settings every test shares: how hypothesis draws, and how a run tells what it left out."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support import outcomes

# grpcio is a judge only; its handlers would end a child of ours between fork and exec.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
# Ours, and our children's: tests replace parts of modules, which only the plain form allows everywhere.
os.environ.setdefault("HBONE_FORM", "plain")

# Tests start hundreds of processes of ours. Two thirds of each one's start would be compiling, so what is compiled is
# kept, whatever this shell says of bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# CI draws the same examples every time; elsewhere they are new, and a failure prints what reproduces it.
# Neither asserts a time: this project is tested on noisy machines.
settings.register_profile(
    "ci", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("dev", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever judges the run comes last."""
    outcomes.judges_last(items)


def pytest_collection_finish() -> None:
    """What has been collected stays to the end: a full collection of garbage would walk it all, in vain."""
    gc.freeze()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """How it ended is remembered for the judges."""
    outcomes.note(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes: tell the leading one what was asked for. The leading one: judge."""
    if outcomes.is_a_part(session.config):
        session.config.workeroutput["asked_for"] = outcomes.asked_for(session)  # type: ignore[attr-defined]
    elif _asked and (missing := _missing()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nnamed in docs/parity.md, and did not run: {missing}")  # noqa: T201 - there is no test to fail


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One more process than cores: a third of the time tests wait, for a process to start or a deadline to pass."""
    is_told = "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ
    return None if is_told else len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of the processes has ended."""
    _asked.update(getattr(node, "workeroutput", {}).get("asked_for", ()))


_asked: set[str] = set()


def _missing() -> dict[str, str | None]:
    from tests.test_parity import named_tests_that_did_not_run

    return named_tests_that_did_not_run(_asked)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every skipped test and its reason: a hole in a run must be seen."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section(f"{len(skipped)} skipped")
    for report in skipped:
        terminalreporter.line(f"SKIPPED {report.nodeid}: {_reason(report)}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)
