"""Both designs for real: today's sidecar skips the waypoint, and no tunnel is used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.lab_py.labs import lab, require_lab

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.privileged]


def test_what_has_changed_since_1_18(tmp_path: Path) -> None:
    require_lab()
    page = tmp_path / "out.html"
    done = lab(tmp_path, "diff", "sidecar-to-waypoint", "--control-plane", "file", "-o", "json", "--html", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    assert page.read_text().count("<article ") == 10 + 8
    found = json.loads(done.stdout)
    assert found["ok"]
    only = found["seen_only_in"]
    assert {"packet waypoint eth0", "packet node-d istioin", "counter zt-node-d Z1"} <= set(only["1.18"])
    assert {"counter helloworld C1", "counter helloworld C2", "packet helloworld lo"} <= set(only["in-pod"])
