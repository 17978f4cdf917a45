"""`python -m istiod_py check`, as people and scripts run it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from istiod_py.command_line import run
from tests.support.checks import SOUND
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = SOUND.replace("selector: {app: web}, ports", "selectorr: {app: web}, ports")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mesh.yaml").write_text(SOUND)
    return tmp_path


def test_a_sound_folder_ends_with_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(folder)]) == 0
    assert capsys.readouterr().out == "nothing to complain about in 1 file, 4 objects\n"


def test_warnings_alone_end_with_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")
    assert run(["check", str(folder)]) == 0
    assert "x.yaml:2:7: warning HM009" in capsys.readouterr().out


def test_errors_end_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mesh.yaml").write_text(BROKEN)
    assert run(["check", str(folder)]) == 1
    first, summary = capsys.readouterr().out.splitlines()
    assert first == (
        f"{folder}/mesh.yaml:22:8: error HM002: unknown key 'selectorr' in the spec of a Service; did you "
        f"mean 'selector'?"
    )
    assert summary == "1 error, 0 warnings in 1 file, 3 objects"


def test_warnings_end_with_1_where_they_count(folder: Path) -> None:
    (folder / "x.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")
    assert run(["check", "--strict", str(folder)]) == 1
    (folder / "x.yaml").unlink()
    assert run(["check", "--strict", str(folder)]) == 0


def test_one_file_is_checked_by_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mesh.yaml").write_text(BROKEN)
    (folder / "sound.yaml").write_text(SOUND)
    assert run(["check", str(folder / "sound.yaml")]) == 0
    assert "1 file" in capsys.readouterr().out
    (folder / "text.yaml").write_bytes(b"\xff")
    assert run(["check", str(folder / "text.yaml")]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_what_is_piped_in_is_checked(folder: Path) -> None:
    command = [sys.executable, "-m", "istiod_py", "check", "-"]
    done = subprocess.run(command, cwd=ROOT, input=BROKEN, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stdout.startswith("stdin:22:8: error HM002: ")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["check"], "error: no folder: say which one to check, as in: check mesh/"),
        (
            ["check", "/nowhere"],
            "error: /nowhere: no such file or directory: name a folder of manifests that can be read",
        ),
        (["check", "-o", "xml"], "error: Invalid value for '-o' / '--output'"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONFIG_DIR", raising=False)
    assert run(arguments) == 2
    assert capsys.readouterr().err.startswith(complaint)


def test_the_folder_may_be_the_configured_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--config", str(folder), "check"]) == 0
    assert "1 file" in capsys.readouterr().out


def test_settings_of_the_mesh_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "p.yaml").write_text(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\n"
        "spec: {rules: [{from: [{source: {principals: [td/ns/shop/sa/web]}}]}]}\n"
    )
    assert run(["check", str(folder), "--trust-domain", "td"]) == 0
    assert "nothing to complain about" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_programs_read_it(folder: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    (folder / "mesh.yaml").write_text(BROKEN)
    assert run(["check", str(folder), "-o", form]) == 1
    assert "HM002" in json.dumps(json.loads(capsys.readouterr().out))


def seen_on_a_terminal(folder: Path, **environment: str) -> str:
    """What the command writes to a terminal."""
    ours, theirs = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    command = [sys.executable, "-m", "istiod_py", "check", str(folder)]
    subprocess.run(
        command, cwd=ROOT, stdout=theirs, check=False, env={**variables, "TERM": "xterm", **environment}, timeout=30
    )
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        return terminal.read(65536).decode()


def test_colours_are_for_terminals_that_want_them(folder: Path) -> None:
    (folder / "mesh.yaml").write_text(BROKEN)
    assert "\x1b[" in seen_on_a_terminal(folder)
    assert "\x1b[" not in seen_on_a_terminal(folder, NO_COLOR="1")
