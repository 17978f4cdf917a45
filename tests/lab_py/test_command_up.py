"""A lab that stays, beside the machine's own network: commands in it, a second one, and nothing left in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from subprocess import PIPE, STDOUT
from typing import TYPE_CHECKING

import pytest
import yaml

from lab_py import state
from tests.lab_py.labs import Machine, children_of, environment, lab, require_lab
from tests.support.processes import PeerProcess, poll
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.privileged]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine of the test's own."""
    require_lab()
    made = Machine(tmp_path)
    yield made
    made.stop()


def said(machine: Machine, *arguments: str, status: int = 0) -> str:
    """What a command that should end so says."""
    done = machine.lab(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_lab_from_up_to_down(machine: Machine, tmp_path: Path) -> None:
    before = machine.network()
    folder = tmp_path / "hbone-lab-0"
    try:
        assert "try:  python -m lab_py exec sleep -- curl -s http://httpbin:8000/ip" in said(machine, "up")
        ends_by_force_beside_it(machine, folder)
        assert '"127.0.0.6"' in said(machine, "exec", "sleep", "--", sys.executable, "-c", ASK)
        assert "fwmark 0x100/0x100 lookup 101" in said(machine, "exec", "node-a", "ip", "rule")
        assert "it has fabric, node-a" in said(machine, "exec", "slep", "ip", "rule", status=2)
        assert "connection complete" in said(machine, "logs", "zt-node-a")
        breaks_and_mends(machine)
        fares = json.loads(said(machine, "status", "-o", "json"))
        assert [one["ended"] for one in fares["processes"]] == [None] * 3
        assert "a lab called 'lab' is up" in said(machine, "up", status=2)
        assert machine.network() == before
    finally:
        down = machine.lab("down")
    assert down.returncode == 0
    assert machine.network() == before
    assert state.started_at(fares["first"]) is None
    assert list(folder.iterdir()) == [], "nor is anything left of the one that was killed"
    assert "no lab called 'lab' is up" in said(machine, "status", status=2)


def ends_by_force_beside_it(machine: Machine, folder: Path) -> None:
    """A second lab, of the other design: same names, same addresses. Its agent is killed, then all of it."""
    said(machine, "up", "sidecar-to-ambient", "--design", "in-pod", "--name", "other")
    answered = said(machine, "exec", "--name", "other", "sleep", "--", sys.executable, "-c", ASK)
    assert '"10.244.1.10"' in answered, "not the answer of the other lab, whose httpbin has a sidecar"
    processes = json.loads(said(machine, "status", "--name", "other", "-o", "json"))["processes"]
    [agent] = [one["pid"] for one in processes if one["name"] == "agent-node-b"]
    said(machine, "exec", "--name", "other", "node-b", "kill", "-KILL", str(agent))
    ended = "agent-node-b         in node-b         ended with status -9"
    poll(lambda: ended in machine.lab("status", "--name", "other").stdout, "told to have ended")
    record = state.read_record(folder / "other")
    assert record is not None
    os.kill(record.keeper, signal.SIGKILL)
    poll(lambda: state.started_at(record.first) is None, "gone")
    assert "no lab called 'other' is up" in said(machine, "status", "--name", "other", status=2)


def breaks_and_mends(machine: Machine) -> None:
    """What is taken away is found without anybody telling, and comes back."""
    assert "rule-102 is broken: node-a/rule-102" in said(machine, "break", "rule-102")
    assert "rule-102 is broken already" in said(machine, "break", "rule-102", status=2)
    explained = said(machine, "explain", status=1)
    assert "broken at (5): node-a/rule-102" in explained
    assert "ICMP from 10.244.1.1 to 10.244.1.10: 10.96.0.10: network unreachable" in explained
    listed = yaml.safe_load(said(machine, "break", "--list", "-o", "yaml"))
    assert [one["name"] for one in listed["faults"] if one["broken"]] == ["rule-102"]
    assert "rule-102 is as it was" in said(machine, "mend")
    assert "healthy: every hop was observed" in said(machine, "explain")
    assert "'rule-102' is not broken: nothing is" in said(machine, "mend", "rule-102", status=2)


ASK = "import urllib.request as u; print(u.urlopen('http://httpbin:8000/ip').read().decode())"
CROWDED = """\
nodes: [node-a]
pods:
- {name: crowded, node: node-a, kind: sidecar, port: 15021}
"""


def test_a_lab_that_does_not_come_up_leaves_nothing(tmp_path: Path) -> None:
    """The application has the sidecar's own port: who failed is named with its last words."""
    require_lab()
    file = tmp_path / "crowded.yaml"
    file.write_text(CROWDED)
    done = lab(tmp_path, "up", str(file))
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "sidecar-crowded ended with status" in done.stderr or "app-crowded ended with status" in done.stderr
    assert "15021" in done.stderr
    assert list((tmp_path / "hbone-lab-0").iterdir()) == []


def test_a_lab_ends_with_who_is_killed_while_it_builds(machine: Machine, tmp_path: Path) -> None:
    """SIGKILL leaves no time to clear up: the kernel does, and the leash takes the folder away."""
    before, folder = machine.network(), tmp_path / "hbone-lab-0"
    whole = environment(tmp_path) | {"PYTHONPATH": str(ROOT)}
    peer = PeerProcess(machine.command("run"), tmp_path / "log", whole)
    peer.wait_until(lambda: any(folder.glob("run-*/logs/*.log")), "building")
    inside = children_of(peer.pid)
    assert inside
    peer.kill()
    poll(lambda: not any(folder.iterdir()) and all(state.started_at(one) is None for one in inside), "gone")
    assert machine.network() == before


def test_ctrl_c_ends_it(machine: Machine, tmp_path: Path) -> None:
    before, folder = machine.network(), tmp_path / "hbone-lab-0"
    process = subprocess.Popen(
        machine.command("run"),
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=PIPE,
        stderr=STDOUT,
        text=True,
        start_new_session=True,
    )
    poll(lambda: any(folder.glob("run-*/logs/*.log")), "building")
    inside = children_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # a terminal tells the whole group
    text, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in text
    assert list(folder.iterdir()) == []
    assert all(state.started_at(one) is None for one in inside)
    assert machine.network() == before
