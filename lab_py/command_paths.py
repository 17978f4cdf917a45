"""`paths`: the post's three paths on loopback, without root: roles as processes, real requests, judged hop by hop."""

from __future__ import annotations

import datetime
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from lab_py.paths.judge import judge
from lab_py.paths.node_mesh import follow, write_node_mesh
from lab_py.paths.plan import paths_of
from lab_py.paths.report import as_json, as_lines, verdict
from lab_py.paths.witnesses import travel
from lab_py.paths.world import ADMIN_PORT, SOCKS_PORT, STATS_PORT, World, WorldFiles, lay_out
from lab_py.tables import show
from mesh_py.manifests.proxy_file import read_waypoint_file
from mesh_py.process.background import background
from mesh_py.process.console import Console
from mesh_py.process.family import family, state_folder
from mesh_py.process.heard import Heard
from mesh_py.process.listening import StartError
from mesh_py.process.reason import reason_of
from mesh_py.process.run_loop import started
from mesh_py.process.waiting import unless_stopped

if TYPE_CHECKING:
    from pathlib import Path

    from lab_py.paths.judge import PathFound
    from mesh_py.process.family import Family

_INTERRUPTED = 130
_NAME_STYLES = {
    "ztunnel-a": "blue", "ztunnel-b": "blue", "ztunnel-d": "blue", "ztunnel-e": "blue",
    "sidecar-sleep": "green", "sidecar-httpbin": "green", "waypoint": "yellow",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

    net: str
    once: bool = False
    output: str = "text"
    state_dir: Path | None = None
    mesh: Path | None = None
    """A file of one's own instead of the world's."""


def print_mesh(net: str) -> int:
    """The mesh file to standard output."""
    click.echo(World(net).mesh_text(), nl=False)
    return 0


def run(wanted: Wanted) -> int:
    """Start the world, send the requests, judge them; then serve, unless it was to be once. The exit status."""
    return started(_run(World(wanted.net), wanted), "asyncio")


async def _run(world: World, wanted: Wanted) -> int:
    is_value = wanted.output != "text"
    console = Console(sys.stderr if is_value else None, name_styles=_NAME_STYLES)
    heard = Heard(console)
    with state_folder(wanted.state_dir, "paths-world-") as folder:
        files = _laid_out(world, folder, wanted.mesh)
        members = world.members(files)
        if not is_value:
            console.say(f"starting {len(members)} processes on {world.net}.x.y")
        async with (
            family(members, heard.heard, "take other addresses with --world-net 127.77") as running,
            background(follow(files.mesh, files.node_mesh)),
        ):
            if not is_value:
                console.say(f"up in {running.seconds:.1f} s, with the mesh of")
                console.say(f"  {files.mesh}")
                console.say()
            found = await unless_stopped(_travel_all(world, files, heard, None if is_value else console), running.stop)
            if found is None:
                return _INTERRUPTED
            return await _conclude(world, files, wanted, console, heard, running, found)


def _laid_out(world: World, folder: Path, mesh: Path | None) -> WorldFiles:
    """Raises StartError, and ConfigError where a mesh of one's own is wrong."""
    files = WorldFiles(mesh or folder / "mesh.yaml", folder / "node-mesh.yaml", folder / "certs")
    try:
        lay_out(world, files, datetime.datetime.now(datetime.UTC))
        if mesh is None:
            files.mesh.write_text(world.mesh_text(), encoding="utf-8")
        else:
            read_waypoint_file(mesh.read_text(encoding="utf-8"), str(mesh))
        write_node_mesh(files.mesh, files.node_mesh)
    except OSError as error:
        raise StartError(f"{error.filename or folder}: {reason_of(error)}") from None
    except UnicodeDecodeError as error:
        raise StartError(f"{mesh}: not UTF-8 text at byte {error.start}: save it as UTF-8") from None
    return files


async def _travel_all(world: World, files: WorldFiles, heard: Heard, console: Console | None) -> list[PathFound]:
    """One path after the other; each is shown as soon as it is judged."""
    found = []
    for path in paths_of(world):
        found.append(judge(path, await travel(path, world, files, heard)))
        if console is not None:
            for line in as_lines(found[-1], console.styled):
                console.say(line)
    return found


async def _conclude(
    world: World, files: WorldFiles, wanted: Wanted, console: Console, heard: Heard, running: Family,
    found: list[PathFound],
) -> int:  # fmt: skip
    proved = all(one.is_so for one in found)
    if wanted.output != "text":
        show(as_json(found, running.seconds), wanted.output)
        return 0 if proved else 1
    for line in verdict(found):
        console.say(console.styled(line, "green" if proved else "red", "bold"))
    for child in running.children:
        if child.status is not None:
            console.say(f"{child.name} has ended with status {child.status}; it said last: {child.last_line}")
    if wanted.once or not proved:
        return 0 if proved else 1
    _print_what_to_try(world, files, console)
    heard.go_live()
    return await running.serve_until_told(console)


def _print_what_to_try(world: World, files: WorldFiles, console: Console) -> None:
    """Lines to copy."""
    ambient, sidecar, waypoint = (pod.ip for pod in (world.ambient_sleep, world.sidecar_sleep, world.waypoint))
    one, two, three = (f"http://{path.authority}" for path in paths_of(world))
    by_ambient, by_sidecar = (f"curl --socks5-hostname {ip}:{SOCKS_PORT}" for ip in (ambient, sidecar))
    console.say()
    console.say(console.styled("Try", "bold"))
    for line, what in (
        (f"{by_ambient} {one}/headers", "path 1"),
        (f"{by_sidecar} {two}/headers", "path 2"),
        (f"{by_sidecar} {three}/hostname", "path 3, by weight"),
        (f"{by_sidecar} {three}/hostname -H 'x-version: v2'", "by header"),
        (f"curl {waypoint}:{ADMIN_PORT}/clusters", "who can serve"),
        (f"curl {waypoint}:{STATS_PORT}/metrics", "istio_requests_total"),
    ):
        console.say(f"  {line}   {console.styled(f'# {what}', 'dim')}")
    console.say(f"  edit {files.mesh}")
    console.say(f"  {console.styled('# weights, and two policies in comments: the proxies follow', 'dim')}")
    console.say()
    console.say("Ctrl-C ends it.")
    console.say()
