"""The doctor: everything is tried; what is missing is named with what to do, and status 8."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from lab_py.command_doctor import verdict
from lab_py.doctor import BETTER, NEEDED, Fact
from tests.lab_py.labs import command, environment, lab, require_lab
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.privileged]


def test_a_machine_that_can_do_all_of_it(tmp_path: Path) -> None:
    require_lab()
    done = lab(tmp_path, "doctor", "-o", "yaml")
    assert done.returncode == 0, done.stderr
    facts = {one["what"]: one for one in yaml.safe_load(done.stdout)}
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
    assert "no lab can be had here: it lacks ip, iptables-restore, iptables-save, ipset" in done.stdout
    assert "to install: apt-get install iproute2 iptables ipset util-linux" in done.stdout
    assert lab(tmp_path, "run").returncode == 8


def test_user_namespaces_that_are_not_allowed(tmp_path: Path) -> None:
    require_lab()
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    inside = ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh"]
    for arguments in (["doctor", "--rootless"], ["run", "--rootless"]):
        whole = [*inside, *command(*arguments)]
        done = subprocess.run(
            whole, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 8, done.stdout + done.stderr
        assert "no user namespaces here" in done.stdout + done.stderr
        if arguments[0] == "doctor":
            assert "sysctl -w user.max_user_namespaces" in done.stdout


def test_the_last_lines_say_what_to_do() -> None:
    here = Fact("ip", True, NEEDED, "/usr/sbin/ip", "apt-get install iproute2", "iproute2")
    there = Fact("tshark", False, BETTER, "for reading captures", "apt-get install tshark", "tshark")
    worse = Fact("uid 1337", False, BETTER, "known by a mark", "run it as root")
    assert list(verdict([here])) == ["labs can be had here, all of it"]
    assert list(verdict([here, there, worse])) == [
        "labs can be had here; not at its best without tshark, uid 1337", "to install: apt-get install tshark",
    ]  # fmt: skip
    assert list(verdict([replace(here, is_so=False), there])) == [
        "no lab can be had here: it lacks ip", "to install: apt-get install iproute2 tshark",
    ]  # fmt: skip
