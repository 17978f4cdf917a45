"""The command line, without measuring anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks.plan import SCENARIOS, choose_scenarios
from benchmarks.run import Outcome, Settings
from benchmarks.summary import Sample
from benchmarks.world import Capture, Topology

if TYPE_CHECKING:
    from pathlib import Path


def test_the_list_names_every_scenario() -> None:
    result = CliRunner().invoke(command.main, ["--list"])
    assert result.exit_code == 0
    assert all(scenario.name in result.output for scenario in SCENARIOS)


@pytest.mark.parametrize("arguments", [["--scenario", "nothing"], ["--peer", "nobody"], ["--rounds", "0"]])
def test_a_wrong_argument_ends_with_status_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(command.main, arguments)
    assert result.exit_code == 2


def outcome(error: str = "") -> Outcome:
    metrics = {} if error else {"per_second": 1000.0, "p50_us": 90.0}
    samples = [Sample(1, "rr-1-awake", peer, peer, metrics, error) for peer in ("ours", "envoy")]
    facts = [{"name": "ours", "version": "1"}]
    return Outcome(samples, [{"other_cores": 0.0}], facts)


def settings() -> Settings:
    return Settings(tuple(choose_scenarios(["rr-1-awake"])), (), 1, 1.0, Topology.LOOPBACK, Capture.PROXY)


@pytest.mark.parametrize(("error", "status"), [("", 0), ("it ended", 1)])
def test_a_run_writes_page_json_and_pictures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str, status: int
) -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib (the bench extra)")
    monkeypatch.setattr(command, "run", lambda settings, say: outcome(error))
    assert command._run_and_write(settings(), tmp_path / "out") == status
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"REPORT.md", "benchmark.json", "overview.png", "overview.svg"}


def test_an_interrupted_run_writes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(settings: Settings, say: object) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    assert command._run_and_write(settings(), tmp_path / "out") == 130
    assert not (tmp_path / "out").exists()
