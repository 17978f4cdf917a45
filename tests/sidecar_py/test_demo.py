"""The judged demo: status 0 only when both requests really went by mutual TLS and by HBONE."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.sockets import taken
from tests.ztunnel_py.worlds import CLEAN, START_SECONDS, world_net

pytestmark = pytest.mark.interop


def finished(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m sidecar_py arguments`, run to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "sidecar_py", *arguments],
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
    assert "its sidecar counted 1 request by mutual TLS" in done.stdout
    assert "its node proxy counted 1 tunnel of spiffe://cluster.local/ns/default/sa/sleep" in done.stdout
    assert "Both requests went the way they should." in done.stdout
    assert "  NO " not in done.stdout


def test_a_taken_port_is_one_line() -> None:
    net = world_net()
    with taken(f"{net}.1.1", 15001):
        done = finished("demo", "--once", "--world-net", net)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: cannot listen on ")
    assert done.stderr.count("\n") == 1
