"""A plain pod becomes ambient and plain again, in a lab that is up: what is open stays, what is new is captured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab_py.evidence.log_lines import read_log
from tests.lab_py.labs import command, environment, lab, require_lab
from tests.support.processes import poll
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.privileged]

MESH = """\
design: in-pod
nodes: [one]
pods:
- {name: web, node: one, kind: ambient, port: 8000}
- {name: sleep, node: one, kind: plain}
services:
- {name: web, port: 8000, pods: [web]}
"""

CALLER = """\
import http.client, sys
kept = http.client.HTTPConnection("web", 8000)
kept.connect()
kept.auto_open = 0  # if it is cut, it is not opened again
for line in sys.stdin:
    new = http.client.HTTPConnection("web", 8000)
    for one in (kept, new):
        one.request("GET", "/anything")
        answer = one.getresponse()
        answer.read()
        print(answer.status, flush=True)
    new.close()
"""


def said(folder: Path, *arguments: str, status: int = 0) -> str:
    done = lab(folder, *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def captured(folder: Path) -> int:
    """How many connections of `sleep` ztunnel has taken."""
    lines = read_log((folder / f"hbone-lab-{os.getuid()}" / "lab" / "logs" / "zt-one.log").read_text())
    wanted = {"src.workload": "sleep", "direction": "outbound", "message": "connection complete"}
    return sum(all(line.get(name) == value for name, value in wanted.items()) for line in lines)


def processes(folder: Path) -> list[tuple[str, int, None]]:
    found = json.loads(said(folder, "status", "-o", "json"))["processes"]
    return [(one["name"], one["pid"], one["ended"]) for one in found]


@pytest.mark.parametrize("control_plane", ["istiod", pytest.param("file", marks=pytest.mark.soak)])
def test_a_pod_joins_and_leaves(tmp_path: Path, control_plane: str) -> None:
    require_lab()
    file = tmp_path / "mesh.yaml"
    file.write_text(MESH)
    said(tmp_path, "up", str(file), "--control-plane", control_plane)
    try:
        before = processes(tmp_path)
        caller = subprocess.Popen(
            command("exec", "sleep", "--", sys.executable, "-c", CALLER), cwd=ROOT, env=environment(tmp_path),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert caller.stdin is not None
        assert caller.stdout is not None

        def calls() -> list[str]:
            """By the connection that stays open, and by a new one."""
            assert caller.stdin is not None
            assert caller.stdout is not None
            caller.stdin.write("\n")
            caller.stdin.flush()
            return [caller.stdout.readline().strip() for _ in range(2)]

        with caller:
            assert calls() == ["200", "200"]
            assert captured(tmp_path) == 0
            assert "sleep is ambient" in said(tmp_path, "enroll", "sleep")
            assert calls() == ["200", "200"]
            poll(lambda: captured(tmp_path) == 1, "captured: the new one, and not the one that was open")
            assert "has a proxy already" in said(tmp_path, "enroll", "sleep", status=2)
            assert "sleep is plain" in said(tmp_path, "unenroll", "sleep")
            assert calls() == ["200", "200"]
            assert captured(tmp_path) == 1
            caller.stdin.close()
        assert processes(tmp_path) == before
        assert "there is no pod 'slep'" in said(tmp_path, "enroll", "slep", status=2)
    finally:
        lab(tmp_path, "down")
