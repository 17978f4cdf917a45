"""What is mistyped is told in one line, before anything is built."""

from __future__ import annotations

import pytest

from lab_py.command_line import run_lab


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "ambient-to-sidcar"], "did you mean 'ambient-to-sidecar'?"),
        (["run", "--without", "node-a/P99"], "there is no rule or route 'node-a/P99'"),
        (["up", "--name", "../x"], "--name: '../x': letters, digits and dashes"),
        (["faults", "ambient-to-sidecar", "node-a/P99"], "there is no 'node-a/P99'"),
        (["explain", "--name", "none-of-that-name"], "no lab called 'none-of-that-name' is up"),
        (["run", "--step", "-o", "json"], "--step is for people: leave -o away"),
        (["matrix", "--strict", "--control-plane", "file"], "--strict: PeerAuthentication is the control plane's"),
        (["probe"], "for the doctor alone"),
        (["status", "--name", "none-of-that-name"], "no lab called 'none-of-that-name' is up"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_lab(arguments) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_what_can_be_taken_away_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_lab(["faults", "sidecar-to-ambient", "--list"]) == 0
    said = capsys.readouterr().out
    assert "node-b/P8\n" in said
    assert "connect succeeds, then silence" in " ".join(said.split())  # cells are folded to the terminal's width


def test_version_and_completion_are_there_as_for_the_roles(capsys: pytest.CaptureFixture[str]) -> None:
    assert (run_lab(["--version"]), run_lab(["completion", "bash"])) == (0, 0)
    told = capsys.readouterr().out
    assert told.startswith("lab-py, version ")
    assert "_LAB_PY_COMPLETE" in told
