"""A role's command line to its end: the status, and one line for whatever is wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from hbone_py.aio import native
from mesh_py.settings.command import run_command
from tests.mesh_py.settings.example import cli


def run(*arguments: str) -> int:
    return run_command(cli, arguments, script="example-role", module="example_role")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--help"], 0), (["completion", "bash"], 0), (["failing"], 1), (["interrupted"], 130), (["unknown"], 2)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_the_status(arguments: list[str], status: int) -> None:
    assert run(*arguments) == status


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(["--nod", "a"], "error: No such option '--nod'", id="mistyped flag"),
        pytest.param(["--admin-port", "x"], "error: --admin-port: 'x' is not a whole number from", id="value"),
        pytest.param(["formless"], "error: HBONE_FORM=fast: `plain` or `compiled`, please", id="no such form"),
        pytest.param(["--config", "s.yaml"], "error: s.yaml: no such file or directory: check the path", id="no file"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith(complaint)


_EXAMPLE = """
import sys
from mesh_py.settings.command import run_command
from tests.mesh_py.settings.example import cli
sys.exit(run_command(cli, ["--help"], script="example-role", module="example_role"))
"""


def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", _EXAMPLE]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: standard output: no space left: make room, or write somewhere else\n"


@pytest.mark.parametrize(
    ("started_as", "name"),
    [("/usr/bin/example-role", "example-role"), ("/lib/example_role/__main__.py", "python -m example_role")],
)
def test_help_is_offered_by_the_name_it_was_started_with(
    started_as: str, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started_as])
    run("unknown")
    assert capsys.readouterr().err.endswith(f": {name} --help lists what there is\n")


def test_the_version_tells_the_form_of_the_hot_modules(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"example-role, version {version('hbone-mesh')}, hot modules {native.FORM}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_the_installed_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", shell) == 0
    script = capsys.readouterr().out
    assert "_EXAMPLE_ROLE_COMPLETE" in script
    assert "example-role" in script


def test_completion_offers_the_flags_of_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_EXAMPLE_ROLE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "example-role --stream")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        run()
    assert capsys.readouterr().out == "plain,--stream-window\n"
