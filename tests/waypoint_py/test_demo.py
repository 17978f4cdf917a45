"""The embedded world as people start it: `demo --once`, and curl through it."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from tests.ztunnel_py.worlds import CLEAN


@pytest.mark.interop
def test_the_demo_proves_what_it_shows() -> None:
    net = f"127.{random.SystemRandom().randrange(100, 250)}"
    command = [sys.executable, "-W", "error", "-m", "waypoint_py", "demo", "--once", "--world-net", net]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=CLEAN, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All requests went the way they should." in done.stdout
    assert "NO " not in done.stdout.split("Judged")[1]
