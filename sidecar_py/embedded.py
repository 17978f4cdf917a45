"""The embedded world at work: two sidecars, a node proxy and two applications, each a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.process.console import Console
from mesh_py.process.editable_file import invitation
from mesh_py.process.embedded import Running, running_world
from mesh_py.process.run_loop import started
from sidecar_py.config import Ports
from sidecar_py.world import APPLICATION_PORT, World, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mesh_py.process.world_files import WorldFiles

NAME_STYLES = {"sidecar-a": "blue", "sidecar-b": "green", "ztunnel": "yellow"}
"""How lines of the world's processes are told apart at a terminal."""


def embedded_world(
    world: World, state_dir: Path | None, environment: Mapping[str, str], heard: Callable[[str, str], None]
) -> AbstractAsyncContextManager[Running[World, WorldFiles]]:
    """The world, up as long as the context: see `running_world`."""
    return running_world(world, lay_out, state_dir, environment, heard, prefix="sidecar-world-")


def run_embedded(net: str, state_dir: Path | None, environment: Mapping[str, str]) -> int:
    """Serve the embedded world until told to end; the exit status."""
    return started(_serve(World(net), state_dir, environment), "asyncio")


async def _serve(world: World, state_dir: Path | None, environment: Mapping[str, str]) -> int:
    console = Console(name_styles=NAME_STYLES)
    async with embedded_world(world, state_dir, environment, console.heard) as running:
        print_banner(console, running)
        print_what_to_try(console, running)
        return await running.family.serve_until_told(console)


def print_banner(console: Console, running: Running[World, WorldFiles]) -> None:
    """What runs where."""
    world, ports = running.world, Ports()
    a, b, z = world.sleep_ip, world.httpbin_ip, world.ambient_ip
    console.say()
    console.say(console.styled(f"Up in {running.family.seconds:.1f} s: two sidecars and a node proxy", "bold"))
    console.say()
    app = f"{world.httpbin_app}:{APPLICATION_PORT}"
    for line in (
        f"default/sleep ── sidecar-a {a}",
        f"                   ├─ Istio mutual TLS ══ sidecar-b {b} ── default/httpbin {app}",
        f"                   └─ HBONE ═════════════ ztunnel {z} ──── default/ambient {z}:{APPLICATION_PORT}",
    ):
        console.say(f"  {line}")
    console.say()
    rows = (
        ("sidecar-a", f"SOCKS5 {world.socks}, admin {a}:{ports.admin}, metrics {a}:{ports.stats}"),
        ("sidecar-b", f"mutual TLS {b}:{APPLICATION_PORT}, HBONE {b}:{ports.inbound}, admin {b}:{ports.admin}"),
        ("ztunnel", f"HBONE {z}:{ports.inbound}, admin {z}:{ports.admin}"),
        ("mesh", invitation(running.files.mesh, "the sidecars follow", is_edited=running.files.is_edited)),
    )
    for name, text in rows:
        console.say(f"  {name:<11}{text}")
    console.say()


def print_what_to_try(console: Console, running: Running[World, WorldFiles]) -> None:
    """Lines to copy."""
    world, ports = running.world, Ports()
    curl = f"curl --socks5-hostname {world.socks}"
    console.say(console.styled("Try", "bold"))
    for line, what in (
        (f"{curl} {world.url('httpbin')}/headers", "by Istio mutual TLS: see x-forwarded-client-cert"),
        (f"{curl} {world.url('ambient')}/headers", "by HBONE"),
        (f"{curl} {world.url('httpbin')}/hostname", "by route: half here, half there"),
        (f"curl {world.sleep_ip}:{ports.admin}/clusters", "who can serve, and how it is reached"),
        (f"curl {world.sleep_ip}:{ports.stats}/metrics", "istio_requests_total and others"),
    ):
        console.say(f"  {line:<76} {console.styled('# ' + what, 'dim')}")
    console.say()
    console.say("Ctrl-C ends it.")
    console.say()
