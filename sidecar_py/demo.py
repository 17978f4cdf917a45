"""`python -m sidecar_py demo`: real requests through the embedded world, shown and judged.

The witnesses are not our own word alone: each application's record of its caller, and the counters of the proxies on
the far side, a second sidecar and a node proxy.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.process.findings import Finding, show_findings
from mesh_py.process.http_probe import AskFailed, ask_by_socks, get, sample_sum
from sidecar_py.config import Ports
from sidecar_py.embedded import WORLD
from sidecar_py.world import APPLICATION_PORT, HTTPBIN, SERVICE_PORT, SLEEP, World

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

    service: str
    token: str
    status: int = 0
    body: str = ""
    calls: int = 0
    """How many calls with the token the application has recorded."""


def run_demo(net: str, state_dir: Path | None, *, once: bool) -> int:
    """Start the world, send the requests, judge them; the exit status."""
    return WORLD.demo(World(net), state_dir, _requests, once=once)


async def _requests(console: Console, running: Running[World, WorldFiles], heard: Heard) -> bool:
    world = running.world
    socks = (world.sleep_ip, Ports().socks5)
    seen = []
    for service, application in (("httpbin", world.httpbin_app), ("ambient", world.ambient_ip)):
        one = Seen(service, secrets.token_hex(8))
        console.say(console.styled(f"GET {world.url(service)}/headers   ({TOKEN_HEADER}: {one.token})", "bold"))
        try:
            answer = await ask_by_socks(
                socks, f"{service}.default:{SERVICE_PORT}", "/headers", {TOKEN_HEADER: one.token}
            )
            one.status, one.body = answer
            record = await get(application, APPLICATION_PORT, f"/record?token={one.token}")
            one.calls = len(json.loads(record.body))
        except AskFailed as error:
            console.say(console.styled(f"  {error}", "red"))
        console.say(f"  {one.status}  {one.body.strip()}")
        console.say()
        seen.append(one)
    findings = await _judge(world, *seen)
    return show_findings(console, findings, "Both requests went the way they should.")


async def _judge(world: World, httpbin: Seen, ambient: Seen) -> list[Finding]:
    sidecar = await _metrics(world.httpbin_ip)
    node = await _metrics(world.ambient_ip)
    served = sample_sum(
        sidecar, "istio_requests_total", 'reporter="destination"', 'connection_security_policy="mutual_tls"'
    )
    tunnels = sample_sum(
        node, "istio_tcp_connections_opened_total", 'reporter="destination"', f'source_principal="{SLEEP}"'
    )
    said = f"URI={SLEEP}" in httpbin.body and f"By={HTTPBIN}" in httpbin.body
    plain = await _plaintext_is_taken(world)
    return [
        Finding(httpbin.status == 200, f"httpbin answered {httpbin.status}"),
        Finding(httpbin.calls == 1, f"its application recorded {httpbin.calls} call with the token"),
        Finding(said, "its sidecar told the application who called: x-forwarded-client-cert names both"),
        Finding(served == 1, f"its sidecar counted {served} request by mutual TLS"),
        Finding(ambient.status == 200, f"ambient answered {ambient.status}"),
        Finding(ambient.calls == 1, f"its application recorded {ambient.calls} call with the token"),
        Finding(tunnels == 1, f"its node proxy counted {tunnels} tunnel of {SLEEP}"),
        Finding(plain, "without a sidecar the caller is nobody: plaintext brings no x-forwarded-client-cert"),
    ]


async def _plaintext_is_taken(world: World) -> bool:
    """PERMISSIVE: a call without mutual TLS is served, and claims no identity."""
    answer = await get(world.httpbin_ip, APPLICATION_PORT, "/headers")
    return answer.status == 200 and "x-forwarded-client-cert" not in answer.body


async def _metrics(address: str) -> str:
    return (await get(address, Ports().stats, "/metrics")).body
