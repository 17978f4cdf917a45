"""The command line: what can be asked for, how help looks, and one clear line for whatever is wrong with it.

Help, completion and a mistyped flag must answer at once: everything that takes time to load is imported where it is
used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mesh_py.settings.command import add_completion, run_command, version_option
from mesh_py.settings.options import HELP_STYLE, SettingsGroup, flags_of, layers_of, settings_options
from waypoint_py.settings_table import PROXY_CONFIG_KEYS, TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMAND = "waypoint-py"
WORLD_NET = "127.2"


def world_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command say where the embedded world stands."""
    click.option("--world-net", metavar="A.B", help="The embedded world lives on A.B.x.y. (default: 127.2)")(command)
    state = click.Path(path_type=Path, file_okay=False)
    return click.option(
        "--state-dir", type=state, help="Where it keeps its certificates and mesh file. (default: a temporary folder)"
    )(command)


HELP = """\
The proxy in the middle of the tunnel, at layer 7: HBONE ends here, requests are understood, judged and routed, and a
new tunnel goes on to the pod that was chosen.

Without any setting it starts the embedded world: a node proxy with a client, this waypoint, and a node proxy with two
versions of a service, on 127.2.x.y; it prints curl lines to try.

A flag wins over the environment, the environment over --config FILE, the file over the default. In brackets: the name
in the environment and in files. An on/off flag is turned off by --no- in front, its variable by false. Durations are
written 5m, 180s, 500ms; sizes 64MiB.

\b
Examples:
  python -m waypoint_py                             the embedded world
  python -m waypoint_py demo --once                 requests through it, judged; status 0 if all went as they should
  POD_NAMESPACE=shop POD_NAME=waypoint SERVICE_ACCOUNT=waypoint LOCAL_XDS_PATH=mesh.yaml FAKE_CA=true \\
    python -m waypoint_py                           the waypoint of a mesh that a file describes
  python -m waypoint_py config check mesh.yaml      is the file right? line, column and advice if not

\b
Exit status: 0 ok, also after SIGTERM; 1 an expectation failed; 2 usage or configuration; 130 Ctrl-C.
"""


@click.group(
    cls=SettingsGroup,
    table=TABLE,
    help=HELP,
    invoke_without_command=True,
    context_settings=HELP_STYLE,
)
@settings_options(TABLE)
@click.option(
    "--loop",
    type=click.Choice(["reactor", "uvloop", "asyncio"]),
    default="reactor",
    help="Event loop. (default: reactor)",
)
@world_options
@version_option(COMMAND)
@click.pass_context
def cli(ctx: click.Context, /, **parameters: Any) -> int:
    """Serve, unless a command is named."""
    if ctx.invoked_subcommand is not None:
        if ctx.invoked_subcommand != "config" and flags_of(TABLE, parameters):
            raise click.UsageError(f"{ctx.invoked_subcommand} takes no settings of a proxy")
        ctx.obj = parameters
        return 0
    from waypoint_py.serving import serve

    layers = layers_of(TABLE, parameters, PROXY_CONFIG_KEYS)
    return serve(layers, parameters | {"world_net": parameters["world_net"] or WORLD_NET})


@cli.command(help="Start the embedded world and send real requests through it; then serve until Ctrl-C.")
@click.option("--once", is_flag=True, help="End after the requests: 0 only if each went the way it should.")
@world_options
@click.pass_obj
def demo(outer: dict[str, Any], /, **parameters: Any) -> int:
    """See demo.run_demo."""
    from waypoint_py.demo import run_demo

    net = parameters["world_net"] or outer["world_net"] or WORLD_NET
    return run_demo(net, parameters["state_dir"] or outer["state_dir"], once=parameters["once"])


@cli.group(help="Look at settings and mesh files without starting anything.")
def config() -> None:
    """Nothing by itself."""


@config.command(help="Read a mesh file as LOCAL_XDS_PATH would: what it holds, or all that is wrong with it.")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> int:
    """See command_config.check_mesh_file."""
    from waypoint_py.command_config import check_mesh_file

    return check_mesh_file(file)


@config.command(help="Every setting, its value, and where the value comes from. Takes all the flags of the proxy.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@settings_options(TABLE)
@click.pass_obj
def show(outer: dict[str, Any], /, output: str, **parameters: Any) -> int:
    """See command_config.show_settings."""
    from waypoint_py.command_config import show_settings

    merged = {**outer, **{name: value for name, value in parameters.items() if value is not None}}
    return show_settings(layers_of(TABLE, merged, PROXY_CONFIG_KEYS), output)


@config.command(hidden=True, help="The table of docs/waypoint-configuration.md, from the same source as --help.")
def page() -> int:
    """See mesh_py.settings.page."""
    from mesh_py.settings.page import settings_page

    click.echo(settings_page(TABLE, "istio-proxy"), nl=False)
    return 0


add_completion(cli, COMMAND)


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit status."""
    return run_command(cli, arguments, script=COMMAND, module="waypoint_py")
