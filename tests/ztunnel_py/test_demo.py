"""The demo of `make run`: status 0 only when the request really went through HBONE."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.sockets import taken
from tests.ztunnel_py.worlds import UP, finished, started, world_net
from ztunnel_py.world import World

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interop


def test_once_shows_the_request_and_its_proof() -> None:
    net = world_net()
    done = finished("demo", "--once", "--world-net", net)
    assert (done.returncode, done.stderr) == (0, "")
    for expected in (
        "GET http://httpbin.default.svc.cluster.local:8000/headers",
        'direction="outbound"',
        'direction="inbound"',
        f"the application recorded one call with the token, from {net}.1.1 (default/sleep)",
        "The request went through HBONE, both identities verified.",
    ):
        assert expected in done.stdout
    assert "\033" not in done.stdout
    assert "  NO " not in done.stdout
    # The token of the request is the one that came back.
    token = done.stdout.partition("X-Demo-Token: ")[2].partition(")")[0]
    assert f'"X-Demo-Token": "{token}"' in done.stdout


def test_without_once_it_serves_until_ctrl_c(tmp_path: Path) -> None:
    world = World(world_net())
    with started(tmp_path / "log", "demo", "--world-net", world.net, until=UP) as process:
        assert "The request went through HBONE" in process.output
        with httpx.Client(proxy=f"socks5h://{world.socks}", timeout=30) as client:
            assert client.get(f"{world.url}/status/204").status_code == 204
        assert process.end_with(signal.SIGINT) == 0


def test_a_taken_port_is_one_line() -> None:
    net = world_net()
    with taken(f"{net}.0.1", 15001):
        done = finished("demo", "--once", "--world-net", net)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: cannot listen on {net}.0.1:15001: address already in use")
    assert done.stderr.count("\n") == 1
