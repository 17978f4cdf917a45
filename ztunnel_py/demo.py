"""`python -m ztunnel_py demo`: one real request through the embedded world, shown and judged."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from mesh_py.identity.layout import identity_folder
from mesh_py.process.findings import show_findings
from mesh_py.process.http_probe import AskFailed, get
from mesh_py.process.tls_witness import refuses_strangers, shown_identity
from mesh_py.telemetry.log_lines import connection_fields
from ztunnel_py.config import Ports
from ztunnel_py.demo_judge import Evidence, judge
from ztunnel_py.demo_request import config_dump, request_by_socks
from ztunnel_py.embedded import WORLD
from ztunnel_py.world import APPLICATION_PORT, HTTPBIN, SLEEP, World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesh_py.process.console import Console
    from mesh_py.process.embedded import Running
    from mesh_py.process.heard import Heard, Line
    from ztunnel_py.world import WorldFiles

TOKEN_HEADER = "X-Demo-Token"
_LOG_SECONDS = 5.0
"""How long after the request its access log lines may take."""


def run_demo(net: str, state_dir: Path | None, *, once: bool) -> int:
    """Start the world, send the request, judge it; the exit status."""
    return WORLD.demo(World(net), state_dir, _request, once=once)


async def _request(console: Console, running: Running[World, WorldFiles], heard: Heard) -> bool:
    """Send, show, ask the witnesses, judge."""
    world, evidence = running.world, Evidence(secrets.token_hex(8))
    console.say(console.styled(f"GET {world.url}/headers   ({TOKEN_HEADER}: {evidence.token})", "bold"))
    try:
        answer = await request_by_socks(world, "/headers", {TOKEN_HEADER: evidence.token, "Accept": "*/*"})
        evidence.status, evidence.body = answer
        await _ask_witnesses(evidence, running, heard)
    except AskFailed as error:
        console.say(console.styled(f"  {error}", "red"))
    _print_answer(console, evidence)
    _print_lines(console, evidence)
    proved = _print_verdict(console, evidence, world)
    _print_next_steps(console)
    return proved


async def _ask_witnesses(evidence: Evidence, running: Running[World, WorldFiles], heard: Heard) -> None:
    world = running.world
    evidence.source_line = await _access_line(heard, "node-a", "outbound")
    evidence.destination_line = await _access_line(heard, "node-b", "inbound")
    record = await get(world.httpbin_ip, APPLICATION_PORT, f"/record?token={evidence.token}")
    evidence.calls = json.loads(record.body)
    own = identity_folder(running.files.certificates, SLEEP)
    evidence.shown_identity = await shown_identity(world.httpbin_ip, Ports().inbound, own)
    evidence.refuses_strangers = await refuses_strangers(world.httpbin_ip, Ports().inbound, own)
    for node, identity in ((world.node_a, SLEEP), (world.node_b, HTTPBIN)):
        evidence.issued[node.name] = running.files.serials[identity]
        dump = await config_dump(node.address)
        evidence.serials[node.name] = _serial(dump, str(identity))


async def _access_line(heard: Heard, node: str, direction: str) -> str:
    """The line a node wrote about its connection in that direction; empty if it does not come in time."""

    def found(lines: Sequence[Line]) -> str:
        own = (line for name, line in lines if name == node)
        return next((line for line in own if connection_fields(line).get("direction") == direction), "")

    await heard.until(lambda lines: bool(found(lines)), _LOG_SECONDS)
    return found(heard.lines)


def _serial(dump: dict[str, Any], identity: str) -> str:
    """The serial number of the certificate a node holds for an identity."""
    for entry in dump.get("certificates", ()):
        if entry["identity"] == identity and entry["certChain"]:
            return str(entry["certChain"][0]["serialNumber"])
    return "none"


def _print_next_steps(console: Console) -> None:
    console.say("Next: `make paths`, three paths through sidecars, node proxies and a waypoint;")
    console.say("      `make lab`, the same through real namespaces.")


def _print_answer(console: Console, evidence: Evidence) -> None:
    if not evidence.status:
        return
    console.say(f"  {evidence.status}")
    try:
        shown = json.dumps(json.loads(evidence.body), indent=2)
    except ValueError:
        shown = evidence.body
    for line in shown.splitlines():
        console.say(f"  {line}")


def _print_lines(console: Console, evidence: Evidence) -> None:
    console.say()
    console.say(console.styled("What the proxies logged", "bold"))
    for name, side, line in (
        ("node-a", "source side", evidence.source_line),
        ("node-b", "destination side", evidence.destination_line),
    ):
        console.say(f"  {console.styled_name(name, f'{name}, {side}')}")
        console.say(f"  {line or 'nothing'}")


def _print_verdict(console: Console, evidence: Evidence, world: World) -> bool:
    console.say()
    words = "The request went through HBONE, both identities verified."
    return show_findings(console, judge(evidence, world), words)
