"""The embedded world at work: three node proxies, a waypoint and two applications, each a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.process.editable_file import invitation
from mesh_py.process.world_command import WorldCommand
from waypoint_py.config import Ports
from waypoint_py.world import lay_out

if TYPE_CHECKING:
    from mesh_py.process.console import Console
    from mesh_py.process.embedded import Running
    from mesh_py.process.world_files import WorldFiles
    from waypoint_py.world import World


def print_banner(console: Console, running: Running[World, WorldFiles]) -> None:
    """What runs where."""
    world, ports = running.world, Ports()
    a, w = world.sleep_ip, world.waypoint_ip
    console.say()
    console.say(console.styled(f"Up in {running.family.seconds:.1f} s: a waypoint among three node proxies", "bold"))
    console.say()
    for line in (
        f"default/sleep {a} ── node-a ══ HBONE ══ waypoint {w} ─┬═ HBONE ══ node-b ── hello-v1 {world.version_ip(1)}",
        f"{'':<{len(a + w) + 48}}└═ HBONE ══ node-c ── hello-v2 {world.version_ip(2)}",
    ):
        console.say(f"  {line}")
    console.say()
    rows = (
        ("node-a", f"SOCKS5 {a}:{world.socks[1]}, metrics {a}:{ports.stats}"),
        ("waypoint", f"HBONE {w}:{ports.inbound}, admin {w}:{ports.admin}, metrics {w}:{ports.stats}"),
        ("mesh", invitation(running.files.mesh, "the waypoint follows", is_edited=running.files.is_edited)),
    )
    for name, text in rows:
        console.say(f"  {name:<11}{text}")
    console.say()


def print_what_to_try(console: Console, running: Running[World, WorldFiles]) -> None:
    """Lines to copy."""
    world, ports = running.world, Ports()
    curl = f"curl --socks5-hostname {world.socks[0]}:{world.socks[1]}"
    url = f"http://{world.authority}"
    console.say(console.styled("Try", "bold"))
    for line, what in (
        (f"{curl} {url}/hostname", "by route: four of five times v1"),
        (f"{curl} -H 'x-version: v2' {url}/hostname", "by header"),
        (f"{curl} -X DELETE {url}/anything", "403: sleep may only GET"),
        (f"curl {world.waypoint_ip}:{ports.admin}/clusters", "who can serve, and how it is reached"),
        (f"curl {world.waypoint_ip}:{ports.stats}/metrics", "istio_requests_total and others"),
    ):
        console.say(f"  {line:<86} {console.styled('# ' + what, 'dim')}")
    console.say()
    console.say("Ctrl-C ends it.")
    console.say()


_NAME_STYLES = {"node-a": "blue", "waypoint": "magenta", "node-b": "green", "node-c": "yellow"}
WORLD = WorldCommand(lay_out, "waypoint-world-", _NAME_STYLES, print_banner, print_what_to_try)
