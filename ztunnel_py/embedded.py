"""The embedded world at work: two node proxies and an application, each a process, started and ended together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.process.editable_file import invitation
from mesh_py.process.world_command import WorldCommand
from ztunnel_py.config import Ports
from ztunnel_py.world import APPLICATION_PORT, DNS_PORT, lay_out

if TYPE_CHECKING:
    from mesh_py.process.console import Console
    from mesh_py.process.embedded import Running
    from ztunnel_py.world import World, WorldFiles


def print_banner(console: Console, running: Running[World, WorldFiles]) -> None:
    """What runs where, and what to try."""
    world, ports = running.world, Ports()
    bold = console.styled
    a, b = world.node_a.address, world.node_b.address
    console.say()
    console.say(bold(f"Up in {running.family.seconds:.1f} s: two node proxies, a tunnel, an application", "bold"))
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
        ("mesh", invitation(running.files.mesh, "the proxies follow", is_edited=running.files.is_edited)),
    )
    for name, text in rows:
        console.say(f"  {name:<9}{text}")
    console.say()


def print_what_to_try(console: Console, running: Running[World, WorldFiles]) -> None:
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


_NAME_STYLES = {"node-a": "blue"}
WORLD = WorldCommand(lay_out, "hbone-world-", _NAME_STYLES, print_banner, print_what_to_try)
