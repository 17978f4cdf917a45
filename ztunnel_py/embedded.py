"""The embedded world at work: two node proxies and an application, each a process, started and ended together."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import signal
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_py.process.children import Child, start_child
from mesh_py.process.console import Console
from mesh_py.process.listening import StartError
from mesh_py.process.port_holder import why_not
from mesh_py.process.run_loop import started
from mesh_py.process.signals import stop_signals
from mesh_py.process.waiting import any_of
from ztunnel_py.config import Ports
from ztunnel_py.world import APPLICATION_PORT, DNS_PORT, Node, World, WorldFiles, lay_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

READY_SECONDS = 20.0
"""How long the world may take to come up."""
END_SECONDS = 20.0
"""How long after SIGTERM a child is killed; drains end long before."""
NAME_STYLES = {"node-a": "blue"}
"""How lines of the world's processes are told apart at a terminal."""
_LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Running:
    """A world that is up."""

    world: World
    files: WorldFiles
    seconds: float = 0.0
    """What it took to come up."""
    children: list[Child] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a process has ended."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first SIGTERM or SIGINT."""
    now: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the second."""

    async def listen_to(self, child: Child) -> None:
        """Hand on what a process writes, and remember its end."""
        await child.ended()
        self.ended.set()


@contextmanager
def state_folder(chosen: Path | None) -> Iterator[Path]:
    """The chosen folder, made if need be; else one that goes away in the end. Raises StartError."""
    if chosen is None:
        folder = Path(tempfile.mkdtemp(prefix="hbone-world-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"--state-dir: {chosen}: {(error.strerror or str(error)).lower()}") from None
    yield chosen.resolve()


@asynccontextmanager
async def embedded_world(
    world: World, state_dir: Path | None, environment: Mapping[str, str], heard: Callable[[str, str], None]
) -> AsyncIterator[Running]:
    """Start the world; when the context is left, end it: orderly, or at once on a second signal.

    Args:
        state_dir: where its files go; None: a folder that goes away in the end.
        environment: what the proxies are told beside their place in the world.
        heard: gets each line the processes write.

    Raises:
        StartError: a port is taken, or a process did not come up; nothing is left running.
        KeyboardInterrupt: a signal came before the world was up.
    """
    refuse_taken_ports(world)
    with state_folder(state_dir) as folder:
        running = Running(world, _laid_out(world, folder))
        try:
            with stop_signals(running.stop, running.now):
                async with asyncio.TaskGroup() as group:
                    try:
                        await _start(running, group, environment, heard)
                        yield running
                    finally:
                        await _end(running)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None


async def _start(
    running: Running, group: asyncio.TaskGroup, environment: Mapping[str, str], heard: Callable[[str, str], None]
) -> None:
    begin = time.monotonic()
    for name, arguments, its_environment in _processes(running.world, running.files, environment):
        child = await start_child(name, arguments, its_environment, heard)
        running.children.append(child)
        group.create_task(running.listen_to(child), name=f"listen to {name}")
    await _until_ready(running)
    running.seconds = time.monotonic() - begin


def refuse_taken_ports(world: World) -> None:
    """Raise StartError if any listener cannot be had, before anything is started."""
    wanted = [(node.address, port) for node in (world.node_a, world.node_b) for port in node.ports.values()]
    wanted.append((world.httpbin_ip, APPLICATION_PORT))
    for address, port in wanted:
        if (problem := why_not(address, port)) is not None:
            raise StartError(f"{problem}; end it, or take other addresses with --world-net 127.77")


def _laid_out(world: World, folder: Path) -> WorldFiles:
    try:
        return lay_out(world, folder, datetime.datetime.now(datetime.UTC))
    except OSError as error:
        raise StartError(f"{error.filename or folder}: {(error.strerror or str(error)).lower()}") from None


def _processes(
    world: World, files: WorldFiles, environment: Mapping[str, str]
) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Name, arguments and environment of each process, those that others need first."""
    application = ["--host", world.httpbin_ip, "--port", str(APPLICATION_PORT)]
    yield "httpbin", ["-m", "lab_py.apps.httpbin", *application], {}
    for node in (world.node_b, world.node_a):
        yield node.name, ["-m", "ztunnel_py"], {**environment, **_node_environment(node, files)}


def _node_environment(node: Node, files: WorldFiles) -> dict[str, str]:
    capture = {"UNSTABLE_ENABLE_SOCKS5": "true", "SOCKS5_SOURCE_WORKLOAD": "default/sleep"} if node.socks5 else {}
    return {
        "PROXY_MODE": "node",
        "NODE_NAME": node.name,
        "PROXY_BIND_ADDRESS": node.address,
        "LOCAL_XDS_PATH": str(files.mesh),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(files.certificates),
        "DNS_CAPTURE": "true",
        "DNS_PROXY_ADDR": f"{node.address}:{DNS_PORT}",
        **capture,
    }


async def _until_ready(running: Running) -> None:
    world = running.world
    try:
        async with asyncio.timeout(READY_SECONDS):
            for address, port, path in (
                (world.httpbin_ip, APPLICATION_PORT, "/healthz"),
                (world.node_b.address, Ports().readiness, "/healthz/ready"),
                (world.node_a.address, Ports().readiness, "/healthz/ready"),
            ):
                while not await _answers_ok(address, port, path):
                    _raise_if_over(running)
                    await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        said = "; ".join(f"{child.name} said last: {child.last_line or 'nothing'}" for child in running.children)
        raise StartError(f"the world is not ready after {READY_SECONDS:.0f} s: {said}") from None


def _raise_if_over(running: Running) -> None:
    if running.stop.is_set():
        raise KeyboardInterrupt
    for child in running.children:
        if child.status is not None:
            reason = child.last_line.removeprefix("error: ")
            raise StartError(f"{child.name} ended with status {child.status}: {reason or 'it said nothing'}")


async def _answers_ok(host: str, port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


async def _end(running: Running) -> None:
    """Proxies first, then what they lead to. Whoever does not end is killed."""
    proxies = [child for child in running.children if child.name.startswith("node-")]
    for group in (proxies, [child for child in running.children if child not in proxies]):
        for child in group:
            child.signal(signal.SIGTERM)
        await _ended(group, running.now)


async def _ended(children: list[Child], now: asyncio.Event) -> None:
    """Wait for them, patiently; a second signal from the user is passed on."""
    try:
        async with asyncio.timeout(END_SECONDS):
            was_told = False
            while any(child.status is None for child in children):
                if now.is_set() and not was_told:
                    was_told = True
                    for child in children:
                        child.signal(signal.SIGTERM)
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        for child in children:
            child.signal(signal.SIGKILL)


def run_embedded(net: str, state_dir: Path | None, environment: Mapping[str, str]) -> int:
    """Serve the embedded world until told to end; the exit status."""
    return started(_serve(World(net), state_dir, environment), "asyncio")


async def _serve(world: World, state_dir: Path | None, environment: Mapping[str, str]) -> int:
    console = Console(name_styles=NAME_STYLES)
    async with embedded_world(world, state_dir, environment, console.heard) as running:
        print_banner(console, running)
        print_what_to_try(console, running)
        return await serve_until_told(running, console)


async def serve_until_told(running: Running, console: Console) -> int:
    """Wait for a signal, or for a process that ends by itself; the exit status."""
    await any_of(running.stop, running.ended)
    if running.stop.is_set():
        console.say("ending: connections may finish; the same again ends at once")
        return 0
    ended = next(child for child in running.children if child.status is not None)
    console.say(f"{ended.name} has ended with status {ended.status}, and with it the world")
    return 0 if ended.status == 0 else 1


def print_banner(console: Console, running: Running) -> None:
    """What runs where, and what to try."""
    world, ports = running.world, Ports()
    bold = console.styled
    a, b = world.node_a.address, world.node_b.address
    console.say()
    console.say(bold(f"Up in {running.seconds:.1f} s: two node proxies, a tunnel, an application", "bold"))
    console.say()
    way = (
        ("default/sleep", world.sleep_ip, " ── "),
        ("node-a", a, " ══ HBONE, mutual TLS ══ "),
        ("node-b", b, " ── "),
        ("default/httpbin", f"{world.httpbin_ip}:{APPLICATION_PORT}", ""),
    )
    widths = [max(len(name), len(address)) for name, address, _ in way]
    upper = "".join(f"{name:<{width}}{link}" for (name, _, link), width in zip(way, widths, strict=True))
    lower = "".join(f"{it:<{width}}{' ' * len(link)}" for (_, it, link), width in zip(way, widths, strict=True))
    console.say(f"  {upper}")
    console.say(f"  {lower.rstrip()}")
    console.say()
    rows = (
        ("node-a", f"SOCKS5 {world.socks}, admin {a}:{ports.admin}, metrics {a}:{ports.stats}"),
        ("node-b", f"HBONE {b}:{ports.inbound}, admin {b}:{ports.admin}, metrics {b}:{ports.stats}"),
        ("service", f"{world.url}, virtual IP {world.service_ip}"),
        ("mesh", f"{running.files.mesh}: edit it, the proxies follow"),
    )
    for name, text in rows:
        console.say(f"  {name:<9}{text}")
    console.say()


def print_what_to_try(console: Console, running: Running) -> None:
    """Lines to copy."""
    world, ports = running.world, Ports()
    curl = f"curl --socks5-hostname {world.socks} {world.url}"
    console.say(console.styled("Try", "bold"))
    for line in (
        f"{curl}/headers",
        f"{curl}/ip",
        f"{curl}/sse -N",
        f"dig @{world.node_a.address} -p {DNS_PORT} httpbin.default +short",
        f"curl {world.node_a.address}:{ports.stats}/metrics",
        f"curl {world.node_b.address}:{ports.admin}/config_dump",
        f"curl -X POST '{world.node_a.address}:{ports.admin}/logging?level=debug'",
    ):
        console.say(f"  {line}")
    console.say()
    console.say("Ctrl-C ends it.")
    console.say()
