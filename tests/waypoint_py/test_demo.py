"""The judged demo: node proxy, waypoint, node proxy, processes all; status 0 only when all went as it should."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.sockets import taken
from tests.ztunnel_py.worlds import CLEAN, START_SECONDS, world_net

pytestmark = pytest.mark.interop


def finished(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m waypoint_py arguments`, run to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "waypoint_py", *arguments],
        env={**os.environ, **CLEAN},
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )


@pytest.mark.soak
def test_once_shows_the_requests_and_their_proof() -> None:
    done = finished("demo", "--once", "--world-net", world_net())
    assert (done.returncode, done.stderr) == (0, "")
    assert "counted 2 requests of spiffe://cluster.local/ns/default/sa/sleep, as the tunnel proved" in done.stdout
    assert "tunnels of spiffe://cluster.local/ns/default/sa/waypoint" in done.stdout
    assert "All requests went the way they should." in done.stdout
    assert "  NO " not in done.stdout


def test_a_taken_port_is_one_line() -> None:
    net = world_net()
    with taken(f"{net}.2.1", 15008):
        done = finished("demo", "--once", "--world-net", net)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: cannot listen on ")
    assert done.stderr.count("\n") == 1
