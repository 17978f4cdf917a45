"""The command line of the lab. What builds anything runs a second time inside namespaces of our own (`enter`)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lab_py.builtin import COEXISTENCE, SCENARIOS, load
from lab_py.errors import LabError, Unusable
from lab_py.standing_commands import STANDING, form_option, lab_name_option, output_option
from lab_py.topology import Design
from mesh_py.discovery.problems import ConfigError, suggest
from mesh_py.process.complaints import complain
from mesh_py.settings.command import add_completion, run_command, version_option
from mesh_py.settings.options import HELP_STYLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab_py.lab import Wishes
    from lab_py.machine import Tunnel
    from lab_py.topology import Topology

COMMAND = "lab-py"
HELP = """\
A mesh on one machine: nodes and pods as network namespaces, Istio 1.18's redirection, real proxies.

Everything but `paths` is in namespaces of its own; nothing of the machine's network is touched or left behind.
As root it is the faithful form (sidecars run as uid 1337); otherwise, or with --rootless, user namespaces do.

\b
Examples:
  python -m lab_py paths                             three requests by processes on loopback: needs no rights
  python -m lab_py run ambient-to-sidecar            one request, every hop with what was observed of it
  python -m lab_py run sidecar-to-ambient --step     the same, explained at each hop; Enter goes on
  python -m lab_py run sidecar-to-ambient -o json
  python -m lab_py matrix                            every kind of pod calls every other; --strict refuses some
  python -m lab_py run sidecar-to-waypoint --pcap out.pcapng --html out.html
  python -m lab_py run sidecar-to-waypoint --design in-pod    the same as Istio does it today
  python -m lab_py run sidecar-to-waypoint --peer waypoint=envoy    the real Envoy in the place of our waypoint
  python -m lab_py diff sidecar-to-waypoint          both designs side by side
  python -m lab_py up                                a lab that stays
  python -m lab_py exec sleep -- curl -s http://httpbin:8000/ip
  python -m lab_py logs; python -m lab_py status; python -m lab_py down
  python -m lab_py enroll POD                        a plain pod becomes ambient, with no restart
  python -m lab_py break rule-102; python -m lab_py explain; python -m lab_py mend
                                                     a fault of a lab that is up, found by its traces
  python -m lab_py faults ambient-to-sidecar         every fault: broken, explained, mended
  python -m lab_py doctor                            what this machine can do, what to install

\b
Exit status: 0 ok; 1 a hop was not observed, or the lab does not come up; 2 usage or configuration; 8 a missing tool,
right or kernel feature; 130 Ctrl-C.
"""


@click.group(help=HELP, context_settings=HELP_STYLE)
@version_option(COMMAND)
def group() -> None:
    """The lab."""


def _scenario(command: Callable[..., Any]) -> Callable[..., Any]:
    argument = click.argument("scenario", default=SCENARIOS[0], metavar=f"[{'|'.join(SCENARIOS)}|FILE]")
    return argument(command)


def _build_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a lab is built."""
    click.option("--rootless", is_flag=True, help="In a user namespace, even as root.")(command)
    click.option(
        "--design", type=click.Choice([one.value for one in Design]), help="1.18's redirection, or today's, in pods."
    )(command)
    click.option(
        "--tunnel", type=click.Choice(["kernel", "tap", "packet"]), help="Who serves Geneve. (default: what works)"
    )(command)
    return click.option(
        "--without", multiple=True, metavar="NAME", help="Leave out a rule or route, such as N1 or node-a/P10."
    )(command)


def _peer_options(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options that choose the control plane and the real Envoys."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        click.option(
            "--control-plane", type=click.Choice(["istiod", "file"]), default=default, show_default=True,
            help="Where the proxies have mesh and certificates from: istiod_py, in the lab too, or files.",
        )(command)  # fmt: skip
        return click.option(
            "--peer", "peers", multiple=True, type=click.Choice(["sidecar=envoy", "waypoint=envoy"]),
            help="The real Envoy in the place of ours; may be given twice.",
        )(command)  # fmt: skip

    return add


_file = click.Path(dir_okay=False, resolve_path=True, path_type=Path)
_folder = click.Path(file_okay=False, path_type=Path)
_mesh_file = click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path)


@group.command()
@_scenario
@_build_options
@_peer_options("istiod")
@output_option
@click.option("--pcap", type=_file, help="Write a capture with TLS secrets inside, for Wireshark and tshark.")
@click.option("--html", type=_file, help="Write a page for a browser: the request, hop by hop, in both designs.")
@click.option("--step", is_flag=True, help="Wait at each hop for a key, and explain it.")
@click.option("--folder", hidden=True)
def run(
    scenario: str, design: str | None, rootless: bool, tunnel: str | None, without: tuple[str, ...], output: str,
    pcap: Path | None, html: Path | None, step: bool, folder: str, control_plane: str, peers: tuple[str, ...],
) -> int:  # fmt: skip
    """Send one real request, and show what was observed of every hop."""
    from lab_py import command_run
    from lab_py.enter import is_inside, is_rootless
    from lab_py.lab import Wishes
    from lab_py.runs import in_design

    topology = _load(scenario, design)
    wishes = Wishes(cast("Tunnel | None", tunnel), without, secrets=pcap is not None)
    wishes = _with_peers(topology, wishes, control_plane, peers)
    if step and output != "text":
        raise Unusable("--step is for people: leave -o away")
    wanted = command_run.Wanted("step" if step else output, pcap, html)
    if folder and is_inside():
        return command_run.inside(topology, Path(folder), wishes, wanted)
    _check_names(topology, without)
    again = ["run", scenario, *_again(topology, wishes), *_peer_arguments(wishes), *wanted.arguments()]
    other = command_run.other_design(topology, wishes.envoys)
    beside = None
    if other is not None and design is None and not without:  # what was asked for by name is compared with nothing
        beside = in_design(scenario, other, [*(["--rootless"] if rootless else []), *_peer_arguments(wishes)])
    return command_run.run(topology, again, wanted, beside, rootless=rootless or is_rootless())


@group.command()
@click.option("--once", is_flag=True, help="End after the requests; else serve until Ctrl-C, with lines to try.")
@output_option
@click.option("--world-net", metavar="A.B", default="127.3", show_default=True, help="Everything lives on A.B.x.y.")
@click.option("--state-dir", type=_folder, help="Where certificates and mesh go. (default: a temporary folder)")
@click.option("--mesh", type=_mesh_file, help="A mesh file of your own; start from --print-mesh.")
@click.option("--print-mesh", is_flag=True, help="Write the mesh file to standard output, and start nothing.")
def paths(
    once: bool, output: str, world_net: str, state_dir: Path | None, mesh: Path | None, print_mesh: bool
) -> int:  # fmt: skip
    """Send a request along each of three paths through processes on loopback, without namespaces; 1 if one went astray.

    \b
    Examples:
      python -m lab_py paths --once                     every hop with its log line and identities, judged
      python -m lab_py paths --once -o json
      python -m lab_py paths --print-mesh > mine.yaml   to edit; then see which hop notices:
      python -m lab_py paths --once --mesh mine.yaml
    """
    from lab_py import command_paths

    if print_mesh:
        return command_paths.print_mesh(world_net)
    return command_paths.run(command_paths.Wanted(world_net, once, output, state_dir, mesh))


@group.command()
@_scenario
@click.option("--rootless", is_flag=True, help="In user namespaces, even as root.")
@_peer_options("istiod")
@output_option
@click.option("--html", type=_file, help="Write a page for a browser that shows both.")
def diff(
    scenario: str, rootless: bool, output: str, html: Path | None, control_plane: str, peers: tuple[str, ...]
) -> int:  # fmt: skip
    """Show one request in 1.18's design and in today's, side by side, and what was seen in one of them only."""
    from lab_py import command_diff
    from lab_py.lab import Wishes

    topology = _load(scenario)
    for one in Design:
        wishes = _with_peers(replace(topology, design=one), Wishes(), control_plane, peers)
    options = [*(["--rootless"] if rootless else []), *_peer_arguments(wishes)]
    return command_diff.run(topology, scenario, options, output, html)


@group.command()
@click.argument("scenario", metavar="SCENARIO")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_build_options
@_peer_options("file")
@click.option("--list", "is_list", is_flag=True, help="What can be broken there, and what one will see.")
@form_option
@click.option("--folder", hidden=True)
def faults(
    scenario: str, names: tuple[str, ...], design: str | None, rootless: bool, tunnel: str | None,
    without: tuple[str, ...], is_list: bool, output: str, folder: str, control_plane: str, peers: tuple[str, ...],
) -> int:  # fmt: skip
    """Break, explain and mend one piece after the other, in a lab of its own; 1 if an explanation is wrong.

    \b
    Examples:
      python -m lab_py faults ambient-to-sidecar            every row of the table
      python -m lab_py faults ambient-to-sidecar --list
      python -m lab_py faults sidecar-to-ambient certificate node-b/F2 --design in-pod
    """
    from lab_py import command_faults, command_run
    from lab_py.enter import is_inside, is_rootless
    from lab_py.faults.table import find_fault
    from lab_py.lab import Wishes

    topology = _load(scenario, design)
    wishes = _with_peers(topology, Wishes(cast("Tunnel | None", tunnel), without), control_plane, peers)
    if folder and is_inside():
        return command_faults.inside(topology, Path(folder), wishes, names, output)
    if is_list:
        return command_faults.list_all(topology, output)
    _check_names(topology, without)
    for name in names:
        find_fault(topology, name)
    again = ["faults", scenario, *names, *_again(topology, wishes), *_peer_arguments(wishes), "--output", output]
    return command_run.outside(topology, again, rootless=rootless or is_rootless())


@group.command()
@click.argument("scenario", default=COEXISTENCE, metavar="[FILE]")
@_build_options
@_peer_options("istiod")
@output_option
@click.option(
    "--strict", "is_strict", is_flag=True, help="With PeerAuthentication STRICT: who proves nothing is refused."
)
@click.option("--folder", hidden=True)
def matrix(
    scenario: str, design: str | None, rootless: bool, tunnel: str | None, without: tuple[str, ...], output: str,
    is_strict: bool, folder: str, control_plane: str, peers: tuple[str, ...],
) -> int:  # fmt: skip
    """Let every kind of pod call every other: who gets through, in what, as whom, and known by what."""
    from lab_py import command_matrix, command_run
    from lab_py.enter import is_inside, is_rootless
    from lab_py.lab import Wishes

    topology = _load(scenario, design)
    wishes = _with_peers(topology, Wishes(cast("Tunnel | None", tunnel), without), control_plane, peers)
    if is_strict and control_plane == "file":
        raise Unusable("--strict: PeerAuthentication is the control plane's: leave --control-plane away")
    wishes = replace(wishes, is_strict=is_strict)
    if folder and is_inside():
        return command_matrix.inside(topology, Path(folder), wishes, output)
    _check_names(topology, without)
    strict = ["--strict"] if is_strict else []
    again = ["matrix", scenario, *strict, *_again(topology, wishes), *_peer_arguments(wishes), "--output", output]
    return command_run.outside(topology, again, rootless=rootless or is_rootless(), needs_request=False)


@group.command()
@_scenario
@_build_options
@_peer_options("file")
@lab_name_option
@click.option("--folder", hidden=True)
def up(
    scenario: str, design: str | None, rootless: bool, tunnel: str | None, without: tuple[str, ...], name: str,
    folder: str, control_plane: str, peers: tuple[str, ...],
) -> int:  # fmt: skip
    """Bring up a lab that stays."""
    from lab_py import command_up
    from lab_py.enter import is_inside, is_rootless
    from lab_py.lab import Wishes

    topology = _load(scenario, design)
    wishes = _with_peers(topology, Wishes(cast("Tunnel | None", tunnel), without), control_plane, peers)
    if folder and is_inside():
        return command_up.inside(topology, Path(folder), wishes)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
        raise Unusable(f"--name: {name!r}: letters, digits and dashes")
    _check_names(topology, without)
    again = ["up", scenario, *_again(topology, wishes), *_peer_arguments(wishes)]
    return command_up.outside(topology, name, again, rootless=rootless or is_rootless())


@group.command()
@click.option("--rootless", is_flag=True, help="In a user namespace, even as root.")
@output_option
def doctor(rootless: bool, output: str) -> int:
    """Tell what this machine can do, and what to install for the rest; 8 if something needed is missing."""
    from lab_py import command_doctor
    from lab_py.enter import is_rootless

    return command_doctor.show(output, rootless=rootless or is_rootless())


@group.command(hidden=True)
def probe() -> int:
    """What the doctor runs inside."""
    from lab_py.doctor import probe as facts
    from lab_py.enter import is_inside

    if not is_inside():
        raise Unusable("probe: for the doctor alone: `python -m lab_py doctor`")
    click.echo(facts())
    return 0


for command in STANDING:
    group.add_command(command)
add_completion(group, COMMAND)


def _again(topology: Topology, wishes: Wishes) -> list[str]:
    """The wishes as arguments of the command that runs inside."""
    tunnel = [] if wishes.tunnel is None else ["--tunnel", wishes.tunnel]
    return [
        "--design",
        topology.design.value,
        *tunnel,
        *(word for name in wishes.without for word in ("--without", name)),
    ]


def _with_peers(topology: Topology, wishes: Wishes, control_plane: str, peers: Sequence[str]) -> Wishes:
    """The wishes with control plane and real Envoys. Raises Unusable, Missing."""
    from lab_py.control_plane import ControlPlane
    from lab_py.peers.envoy import check_envoys
    from lab_py.topology import Kind

    kinds = frozenset(Kind(peer.partition("=")[0]) for peer in peers)
    check_envoys(topology, kinds, ControlPlane(control_plane))
    return replace(wishes, control_plane=ControlPlane(control_plane), envoys=kinds)


def _peer_arguments(wishes: Wishes) -> list[str]:
    """Control plane and real Envoys, as arguments of a command that has `_peer_options`."""
    told = ["--control-plane", wishes.control_plane.value]
    return [*told, *(word for kind in wishes.envoys for word in ("--peer", f"{kind.value}=envoy"))]


def _load(scenario: str, design: str | None = None) -> Topology:
    try:
        topology = load(scenario)
    except ConfigError as error:
        raise Unusable(str(error)) from None
    return topology if design is None else replace(topology, design=Design(design))


def _check_names(topology: Topology, without: Sequence[str]) -> None:
    """A rule that does not exist cannot be left out: whoever asks has mistyped."""
    from lab_py.redirect.plan import redirections

    everywhere = redirections(topology)
    known = {name for one in everywhere for name in one.names}
    known |= {f"{one.namespace}/{name}" for one in everywhere for name in one.names}
    for name in without:
        if name not in known:
            raise Unusable(f"--without: there is no rule or route {name!r}; {suggest(name, sorted(known))}")


def run_lab(arguments: Sequence[str]) -> int:
    """Run the command line; the exit status."""
    try:
        return run_command(group, arguments, script=COMMAND, module="lab_py")
    except LabError as error:
        complain(str(error))
        return error.status
