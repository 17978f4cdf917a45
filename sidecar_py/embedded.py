"""The embedded world at work: two sidecars, a node proxy and two applications, each a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.process.editable_file import invitation
from mesh_py.process.world_command import WorldCommand
from sidecar_py.config import Ports
from sidecar_py.world import APPLICATION_PORT, lay_out

if TYPE_CHECKING:
    from mesh_py.process.console import Console
    from mesh_py.process.embedded import Running
    from mesh_py.process.world_files import WorldFiles
    from sidecar_py.world import World


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


_NAME_STYLES = {"sidecar-a": "blue", "sidecar-b": "green", "ztunnel": "yellow"}
WORLD = WorldCommand(lay_out, "sidecar-world-", _NAME_STYLES, print_banner, print_what_to_try)
