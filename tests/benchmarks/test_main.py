"""The command line, without measuring anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks.run import Run
from benchmarks.scenarios import SCENARIOS, choose_scenarios
from benchmarks.schedule import Settings
from benchmarks.summary import Sample
from benchmarks.world import Capture, Topology

if TYPE_CHECKING:
    from pathlib import Path


def test_the_list_names_every_scenario() -> None:
    result = CliRunner().invoke(command.main, ["--list"])
    assert result.exit_code == 0
    assert all(scenario.name in result.output for scenario in SCENARIOS)


@pytest.mark.parametrize(
    "arguments", [["--scenario", "nothing"], ["--peer", "nobody"], ["--rounds", "0"], ["--congestion", "none"]]
)
def test_a_wrong_argument_ends_with_status_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(command.main, arguments)
    assert result.exit_code == 2


def finished(error: str = "") -> Run:
    """A run whose rounds are over."""
    metrics = {} if error else {"per_second": 1000.0, "p50_us": 90.0}
    run = Run(settings(), lambda line: None)
    run.outcome.samples.extend(Sample(1, "rr-1", peer, peer, metrics, error) for peer in ("ours", "envoy"))
    run.outcome.facts.append({"name": "ours", "version": "1"})
    run.outcome.records.append({"round": 1, "other_cores": 0.0})
    return run


def settings() -> Settings:
    return Settings(tuple(choose_scenarios(["rr-1"])), (), 1, 1.0, Topology.LOOPBACK, Capture.PROXY)


@pytest.mark.parametrize(("error", "status"), [("", 0), ("it ended", 1)])
def test_a_run_writes_page_json_and_pictures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str, status: int
) -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib (the bench extra)")
    monkeypatch.setattr(Run, "rounds", lambda self: None)
    found = command._run_and_write(finished(error), settings(), tmp_path / "out", quick=True, with_once=False)
    assert found == status
    names = {path.name for path in (tmp_path / "out").iterdir()}
    pictures = set() if error else {"targets.png", "targets.svg", "overview.png", "overview.svg"}
    assert names == {"REPORT.md", "benchmark.json"} | pictures


@pytest.mark.parametrize(("peers", "said"), [(["ours", "envoy"], True), (["ours", "ours compiled"], False)])
def test_a_run_without_the_compiled_form_says_how_to_build_it(
    monkeypatch: pytest.MonkeyPatch, peers: list[str], said: bool
) -> None:
    monkeypatch.setattr(command, "available_peers", lambda: peers)
    result = CliRunner().invoke(command.main, ["--scenario", "nothing"])
    assert ("`make accelerated` builds it" in result.output) is said


def test_an_interrupted_run_writes_no_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(self: Run) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "rounds", interrupted)
    out = tmp_path / "out"
    assert command._run_and_write(finished(), settings(), out, quick=True, with_once=False) == 130
    assert not list(out.iterdir())
