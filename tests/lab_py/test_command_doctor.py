"""The doctor: everything is tried; what is missing is named with what to do, and status 8."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.lab_py.labs import lab, require_lab

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.privileged]


def test_a_machine_that_can_do_all_of_it(tmp_path: Path) -> None:
    require_lab()
    done = lab(tmp_path, "doctor", "-o", "json")
    assert done.returncode == 0, done.stderr
    facts = {one["what"]: one for one in json.loads(done.stdout)}
    assert facts["rules: TPROXY"]["is_so"]
    assert facts["namespaces"]["detail"] == "as root"


def test_a_tool_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but Python is found."""
    require_lab()
    empty = tmp_path / "bin"
    empty.mkdir()
    os.symlink(sys.executable, empty / "python3")
    code = (
        "import sys, lab_py.netns as n; n._SBIN = ''\n"
        "from lab_py.command_line import run_lab; sys.exit(run_lab(sys.argv[1:]))"
    )
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setattr("tests.lab_py.labs.command", lambda *arguments: [sys.executable, "-c", code, *arguments])
    done = lab(tmp_path, "doctor")
    assert done.returncode == 8
    assert "NO ipset" in done.stdout
    assert "apt-get install ipset" in done.stdout
    assert lab(tmp_path, "run").returncode == 8
