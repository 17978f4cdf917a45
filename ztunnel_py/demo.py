"""`python -m ztunnel_py demo`: one real request through the embedded world, shown and judged."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any

from mesh_py.process.console import Console
from mesh_py.process.run_loop import started
from ztunnel_py.demo_judge import Evidence, fields_of, judge
from ztunnel_py.demo_request import (
    DemoFailed,
    config_dump,
    get,
    refuses_strangers,
    request_by_socks,
    shown_identity,
)
from ztunnel_py.embedded import (
    NAME_STYLES,
    embedded_world,
    print_banner,
    print_what_to_try,
    serve_until_told,
)
from ztunnel_py.world import APPLICATION_PORT, HTTPBIN, SLEEP, World

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from ztunnel_py.embedded import Running

TOKEN_HEADER = "X-Demo-Token"
_LOG_SECONDS = 5.0
"""How long after the request its access log lines may take."""
_INTERRUPTED = 130


class Listener:
    """Takes in what the processes write: keeps it until the request is judged, then shows it as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_live = False
        self._more = asyncio.Event()
        self.lines: list[tuple[str, str]] = []

    def heard(self, name: str, line: str) -> None:
        """One line of a process."""
        if self._is_live:
            self._console.heard(name, line)
        else:
            self.lines.append((name, line))
            self._more.set()

    def go_live(self) -> None:
        """From now on lines are shown."""
        self._is_live = True

    async def access_line(self, node: str, direction: str) -> str:
        """The line a node wrote about its connection in that direction; empty if it does not come in time."""
        try:
            async with asyncio.timeout(_LOG_SECONDS):
                while True:
                    for name, line in self.lines:
                        if name == node and "\taccess\t" in line and fields_of(line).get("direction") == direction:
                            return line
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return ""


def run_demo(net: str, state_dir: Path | None, *, once: bool) -> int:
    """Start the world, send the request, judge it; the exit status."""
    return started(_demo(World(net), state_dir, once=once), "asyncio")


async def _demo(world: World, state_dir: Path | None, *, once: bool) -> int:
    console = Console(name_styles=NAME_STYLES)
    listener = Listener(console)
    async with embedded_world(world, state_dir, {}, listener.heard) as running:
        print_banner(console, running)
        proved = await _unless_stopped(_request(console, running, listener), running.stop)
        if proved is None:
            return _INTERRUPTED
        _print_next_steps(console)
        if once or not proved:
            return 0 if proved else 1
        listener.go_live()
        console.say()
        print_what_to_try(console, running)
        return await serve_until_told(running, console)


async def _unless_stopped(work: Coroutine[Any, Any, bool], stop: asyncio.Event) -> bool | None:
    """What the work says; None if we were told to stop before it was done."""
    async with asyncio.TaskGroup() as group:
        working, stopping = group.create_task(work), group.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            return working.result()
        working.cancel()
    return None


async def _request(console: Console, running: Running, listener: Listener) -> bool:
    """Send, show, ask the witnesses, judge."""
    world, evidence = running.world, Evidence(secrets.token_hex(8))
    console.say(console.styled(f"GET {world.url}/headers   ({TOKEN_HEADER}: {evidence.token})", "bold"))
    try:
        answer = await request_by_socks(world, "/headers", {TOKEN_HEADER: evidence.token, "Accept": "*/*"})
        evidence.status, evidence.body = answer
        await _ask_witnesses(evidence, running, listener)
    except DemoFailed as error:
        console.say(console.styled(f"  {error}", "red"))
    _print_answer(console, evidence)
    _print_lines(console, evidence)
    return _print_verdict(console, evidence, world)


async def _ask_witnesses(evidence: Evidence, running: Running, listener: Listener) -> None:
    world = running.world
    evidence.source_line = await listener.access_line("node-a", "outbound")
    evidence.destination_line = await listener.access_line("node-b", "inbound")
    record = await get(world.httpbin_ip, APPLICATION_PORT, f"/record?token={evidence.token}")
    evidence.calls = json.loads(record.body)
    evidence.shown_identity = await shown_identity(world, running.files)
    evidence.refuses_strangers = await refuses_strangers(world, running.files)
    for node, identity in ((world.node_a, SLEEP), (world.node_b, HTTPBIN)):
        evidence.issued[node.name] = running.files.serials[identity]
        dump = await config_dump(node.address)
        evidence.serials[node.name] = _serial(dump, str(identity))


def _serial(dump: dict[str, Any], identity: str) -> str:
    """The serial number of the certificate a node holds for an identity."""
    for entry in dump.get("certificates", ()):
        if entry["identity"] == identity and entry["certChain"]:
            return str(entry["certChain"][0]["serialNumber"])
    return "none"


def _print_next_steps(console: Console) -> None:
    console.say("Next: `make paths`, requests by a sidecar and a waypoint;")
    console.say("      `make lab`, three paths through real namespaces.")


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
    findings = judge(evidence, world)
    console.say()
    console.say(console.styled("Judged", "bold"))
    for finding in findings:
        mark = console.styled("ok ", "green") if finding.is_so else console.styled("NO ", "red", "bold")
        console.say(f"  {mark} {finding.text}")
    proved = all(finding.is_so for finding in findings)
    console.say()
    console.say(
        console.styled("The request went through HBONE, both identities verified.", "green", "bold")
        if proved
        else console.styled("NOT proved: the request did not go as it should.", "red", "bold")
    )
    return proved
