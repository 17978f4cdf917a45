"""`python -m waypoint_py demo`: real requests through the embedded world, shown and judged.

The witnesses are not our own word alone: each application's record of its callers, and the counters of the node proxies
on either side.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.process.findings import Finding, show_findings
from mesh_py.process.http_probe import AskFailed, ask_by_socks, get, sample_sum
from waypoint_py.config import Ports
from waypoint_py.embedded import WORLD
from waypoint_py.world import APPLICATION_PORT, SLEEP, WAYPOINT, World

if TYPE_CHECKING:
    from pathlib import Path

    from mesh_py.process.console import Console
    from mesh_py.process.embedded import Running
    from mesh_py.process.heard import Heard
    from mesh_py.process.world_files import WorldFiles

TOKEN_HEADER = "X-Demo-Token"


@dataclass(slots=True)
class Seen:
    """What became of one request."""

    method: str
    headers: dict[str, str]
    status: int = 0
    body: str = ""
    calls: tuple[int, int] = (0, 0)
    """How many calls with the token the applications of v1 and v2 have recorded."""


def run_demo(net: str, state_dir: Path | None, *, once: bool) -> int:
    """Start the world, send the requests, judge them; the exit status."""
    return WORLD.demo(World(net), state_dir, _requests, once=once)


async def _requests(console: Console, running: Running[World, WorldFiles], heard: Heard) -> bool:
    world = running.world
    plain, chosen, refused = Seen("GET", {}), Seen("GET", {"x-version": "v2"}), Seen("DELETE", {})
    for one in (plain, chosen, refused):
        await _send(console, world, one)
    return show_findings(console, await _judge(world, plain, chosen, refused), "All requests went the way they should.")


async def _send(console: Console, world: World, one: Seen) -> None:
    token = secrets.token_hex(8)
    shown = "".join(f"   {name}: {value}" for name, value in (one.headers | {TOKEN_HEADER: token}).items())
    path = "/headers" if one.method == "GET" else "/anything"
    console.say(console.styled(f"{one.method} http://{world.authority}{path}{shown}", "bold"))
    try:
        answer = await ask_by_socks(
            world.socks, world.authority, path, {**one.headers, TOKEN_HEADER: token}, one.method
        )
        one.status, one.body = answer
        one.calls = (await _recorded(world, 1, token), await _recorded(world, 2, token))
    except AskFailed as error:
        console.say(console.styled(f"  {error}", "red"))
    console.say(f"  {one.status}  {one.body.strip()}")
    console.say()


async def _recorded(world: World, version: int, token: str) -> int:
    answer = await get(world.version_ip(version), APPLICATION_PORT, f"/record?token={token}")
    return len(json.loads(answer.body))


async def _judge(world: World, plain: Seen, chosen: Seen, refused: Seen) -> list[Finding]:
    counted = await _metrics(world.waypoint_ip)
    ours = 'reporter="waypoint"', f'source_principal="{SLEEP}"'
    served = sample_sum(counted, "istio_requests_total", *ours, 'response_code="200"')
    denied = sample_sum(counted, "istio_requests_total", *ours, 'response_code="403"')
    ends = [await _metrics(world.version_ip(version)) for version in (1, 2)]
    by_waypoint = 'reporter="destination"', f'source_principal="{WAYPOINT}"'
    tunnels = sum(sample_sum(text, "istio_tcp_connections_opened_total", *by_waypoint) for text in ends)
    return [
        Finding(plain.status == 200, f"GET was answered {plain.status}"),
        Finding(sum(plain.calls) == 1, f"one of the applications recorded it: {sum(plain.calls)} call with the token"),
        Finding(chosen.status == 200 and chosen.calls == (0, 1), "x-version: v2 led to v2, by its own record"),
        Finding(refused.status == 403, f"DELETE was answered {refused.status}: sleep may only GET"),
        Finding(refused.calls == (0, 0), "no application has seen it"),
        Finding(served == 2, f"the waypoint counted {served} requests of {SLEEP}, as the tunnel proved"),
        Finding(denied == 1, f"and {denied} that it refused"),
        Finding(tunnels >= 1, f"the node proxies behind it counted {tunnels} tunnels of {WAYPOINT}"),
    ]


async def _metrics(address: str) -> str:
    return (await get(address, Ports().stats, "/metrics")).body
