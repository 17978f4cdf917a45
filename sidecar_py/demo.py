"""`python -m sidecar_py demo`: real requests through the embedded world, shown and judged.

The witnesses are not our own word alone: each application's record of its caller, and the counters of the proxies on
the far side, a second sidecar and a node proxy.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.process.console import Console
from mesh_py.process.run_loop import started
from sidecar_py.config import Ports
from sidecar_py.embedded import NAME_STYLES, embedded_world, print_banner, print_what_to_try
from sidecar_py.world import APPLICATION_PORT, HTTPBIN, SERVICE_PORT, SLEEP, World

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from sidecar_py.embedded import Running

TOKEN_HEADER = "X-Demo-Token"
DEADLINE = 10.0
"""Seconds for each question."""
_INTERRUPTED = 130


class DemoFailed(Exception):
    """A question got no answer; the text says which."""


class Finding(NamedTuple):
    """One thing that had to be so."""

    is_so: bool
    text: str


@dataclass(slots=True)
class Seen:
    """What became of one request."""

    service: str
    token: str
    status: int = 0
    body: str = ""
    calls: int = 0
    """How many calls with the token the application has recorded."""


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: str


def run_demo(net: str, state_dir: Path | None, *, once: bool) -> int:
    """Start the world, send the requests, judge them; the exit status."""
    return started(_demo(World(net), state_dir, once=once), "asyncio")


async def _demo(world: World, state_dir: Path | None, *, once: bool) -> int:
    console = Console(name_styles=NAME_STYLES)
    lines: list[tuple[str, str]] = []
    show: list[Callable[[str, str], None]] = [lambda name, line: lines.append((name, line))]
    async with embedded_world(world, state_dir, {}, lambda name, line: show[0](name, line)) as running:
        print_banner(console, running)
        proved = await _unless_stopped(_requests(console, running), running.family.stop)
        if proved is None:
            return _INTERRUPTED
        if once or not proved:
            return 0 if proved else 1
        show[0] = console.heard
        print_what_to_try(console, running)
        return await running.family.serve_until_told(console)


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


async def _requests(console: Console, running: Running) -> bool:
    world = running.world
    seen = []
    for service, application in (("httpbin", world.httpbin_app), ("ambient", world.ambient_ip)):
        one = Seen(service, secrets.token_hex(8))
        console.say(console.styled(f"GET {world.url(service)}/headers   ({TOKEN_HEADER}: {one.token})", "bold"))
        try:
            answer = await ask_by_socks(world, service, "/headers", {TOKEN_HEADER: one.token})
            one.status, one.body = answer
            record = await get(application, APPLICATION_PORT, f"/record?token={one.token}")
            one.calls = len(json.loads(record.body))
        except DemoFailed as error:
            console.say(console.styled(f"  {error}", "red"))
        console.say(f"  {one.status}  {one.body.strip()}")
        console.say()
        seen.append(one)
    findings = await _judge(world, *seen)
    console.say(console.styled("Judged", "bold"))
    for finding in findings:
        mark = console.styled("ok ", "green") if finding.is_so else console.styled("NO ", "red", "bold")
        console.say(f"  {mark} {finding.text}")
    proved = all(finding.is_so for finding in findings)
    console.say()
    words = "Both requests went the way they should." if proved else "NOT proved: not all went as it should."
    console.say(console.styled(words, "green" if proved else "red", "bold"))
    return proved


async def _judge(world: World, httpbin: Seen, ambient: Seen) -> list[Finding]:
    sidecar = await _metrics(world.httpbin_ip)
    node = await _metrics(world.ambient_ip)
    served = _value(
        sidecar, "istio_requests_total", 'reporter="destination"', 'connection_security_policy="mutual_tls"'
    )
    tunnels = _value(
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


def _value(metrics: str, name: str, *labels: str) -> int:
    """The sum of the samples of a family with these labels."""
    lines = (line for line in metrics.splitlines() if re.match(rf"{name}\{{", line))
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if all(label in line for label in labels))


async def ask_by_socks(world: World, service: str, path: str, headers: dict[str, str]) -> Answer:
    """GET from a service by its name, through the sidecar's SOCKS5 listener. Raises DemoFailed."""
    name = f"{service}.default".encode()
    hello = b"\x05\x01\x00"
    connect = b"\x05\x01\x00\x03" + bytes([len(name)]) + name + SERVICE_PORT.to_bytes(2, "big")

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(hello)
        if await reader.readexactly(2) != b"\x05\x00":
            raise ValueError("SOCKS5 wants authentication")
        writer.write(connect)
        if (await reader.readexactly(10))[1] != 0:
            raise ValueError("SOCKS5 refused")

    return await _ask(world.sleep_ip, Ports().socks5, f"{name.decode()}:{SERVICE_PORT}", path, headers, greet)


async def get(host: str, port: int, path: str) -> Answer:
    """GET straight from an address. Raises DemoFailed."""
    return await _ask(host, port, f"{host}:{port}", path, {}, None)


async def _ask(
    host: str,
    port: int,
    authority: str,
    path: str,
    headers: dict[str, str],
    greet: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]] | None,
) -> Answer:
    try:
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                if greet is not None:
                    await greet(reader, writer)
                return await _get(reader, writer, authority, path, headers)
            finally:
                writer.close()
    except TimeoutError:
        raise DemoFailed(f"http://{authority}{path}: no answer in {DEADLINE:.0f} s") from None
    except (OSError, EOFError, ValueError) as error:
        raise DemoFailed(f"http://{authority}{path}: {error}") from None


async def _get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, path: str, headers: dict[str, str]
) -> Answer:
    lines = [f"GET {path} HTTP/1.1", f"Host: {authority}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    names = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    length = names.get("content-length")
    body = await (reader.readexactly(int(length)) if length is not None else reader.read())
    return Answer(int(head[0].split()[1]), body.decode(errors="replace"))
