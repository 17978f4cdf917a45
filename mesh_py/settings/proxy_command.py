"""The command line that all proxies have: serve, `demo`, `config check`, `config show`, completion.

Help, completion and a mistyped flag must answer at once: what a command does is loaded when it is asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click

from mesh_py.settings.command import add_completion, version_option
from mesh_py.settings.options import HELP_STYLE, SettingsGroup, flags_of, layers_of, settings_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.settings.embedded import EmbeddedDefault
    from mesh_py.settings.file import ProxyConfigKeys
    from mesh_py.settings.setting import SettingsTable
    from mesh_py.settings.source import Given

    Layers = Sequence[Mapping[str, Given]]
    """Settings by source, the strongest first."""


class ProxyWords(NamedTuple):
    """What a proxy's help says that others do not say."""

    script: str
    """What it is called where it is installed, such as `ztunnel-py`."""
    help: str
    demo: str
    once: str
    """What `demo --once` judges."""
    world_net: str
    """Where its embedded world lives by default: the first two numbers of an address."""
    page: str
    """The documentation made from its settings, ..."""
    original: str
    """... and whose defaults that page tells beside ours."""


class ProxyWork(Protocol):
    """What a proxy's commands do. Each loads what it needs when it is called."""

    def serve(self, layers: Layers, parameters: Mapping[str, Any]) -> int:
        """Serve until told to end; the exit status. Raises SettingsError before anything is started."""

    def demo(self, net: str, state_dir: Path | None, *, once: bool) -> int:
        """Send requests through the embedded world, judge them, then serve; the exit status."""

    def read_mesh(self, text: str, file: str) -> LocalConfig:
        """Read a mesh file. Raises ConfigError."""

    def read_settings(self, layers: Layers, environ: Mapping[str, str]) -> object:
        """Read all settings. Raises SettingsError."""


def proxy_command(
    words: ProxyWords, table: SettingsTable, proxy_config: ProxyConfigKeys, embedded: EmbeddedDefault, work: ProxyWork
) -> click.Group:
    """A proxy's command line. `proxy_config` is what it takes from Istio's ProxyConfig."""
    world_options = _world_options(words.world_net)

    @click.group(
        cls=SettingsGroup, table=table, help=words.help, invoke_without_command=True, context_settings=HELP_STYLE
    )
    @settings_options(table)
    @click.option(
        "--loop",
        type=click.Choice(["reactor", "uvloop", "asyncio"]),
        default="reactor",
        help="Event loop. (default: reactor)",
    )
    @world_options
    @version_option(words.script)
    @click.pass_context
    def cli(ctx: click.Context, /, **parameters: Any) -> int:
        """Serve, unless a command is named."""
        if ctx.invoked_subcommand is not None:
            if ctx.invoked_subcommand != "config" and flags_of(table, parameters):
                raise click.UsageError(f"{ctx.invoked_subcommand} takes no settings of a proxy")
            ctx.obj = parameters
            return 0
        net = parameters["world_net"] or words.world_net
        return work.serve(layers_of(table, parameters, proxy_config), parameters | {"world_net": net})

    @cli.command(help=words.demo)
    @click.option("--once", is_flag=True, help=words.once)
    @world_options
    @click.pass_obj
    def demo(outer: dict[str, Any], /, **parameters: Any) -> int:
        """The embedded world, judged."""
        net = parameters["world_net"] or outer["world_net"] or words.world_net
        return work.demo(net, parameters["state_dir"] or outer["state_dir"], once=parameters["once"])

    cli.add_command(_config_group(words, table, proxy_config, embedded, work))
    add_completion(cli, words.script)
    return cli


def _world_options(net: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a command say where the embedded world stands."""

    net_words = f"The embedded world lives on A.B.x.y. (default: {net})"
    state_words = "Where it keeps its certificates and mesh file. (default: a temporary folder)"

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        click.option("--world-net", metavar="A.B", help=net_words)(command)
        folder = click.Path(path_type=Path, file_okay=False)
        return click.option("--state-dir", type=folder, help=state_words)(command)

    return decorate


def _config_group(
    words: ProxyWords, table: SettingsTable, proxy_config: ProxyConfigKeys, embedded: EmbeddedDefault, work: ProxyWork
) -> click.Group:
    forms = click.Choice(["table", "json", "yaml"])
    output_option = click.option("-o", "--output", type=forms, default="table", show_default=True)

    @click.group(help="Look at settings and mesh files without starting anything.")
    def config() -> None:
        """Nothing by itself."""

    @config.command(help="Read a mesh file as LOCAL_XDS_PATH would: what it holds, or all that is wrong with it.")
    @click.argument("file", type=click.Path(path_type=Path))
    @output_option
    def check(file: Path, output: str) -> int:
        """See mesh_file.check_mesh_file."""
        from mesh_py.settings.mesh_file import check_mesh_file

        return check_mesh_file(file, work.read_mesh, output)

    @config.command(help="Every setting, its value, and where the value comes from. Takes all the flags of the proxy.")
    @output_option
    @settings_options(table)
    @click.pass_obj
    def show(outer: dict[str, Any], /, output: str, **parameters: Any) -> int:
        """Print the settings, then say whether a proxy would start with them."""
        from mesh_py.settings.show import print_settings

        merged = {**outer, **{name: value for name, value in parameters.items() if value is not None}}
        layers = layers_of(table, merged, proxy_config)
        print_settings(table, layers, output)
        if embedded.applies(layers, os.environ):
            click.echo("nothing is configured: the embedded world would start", err=True)
        else:
            work.read_settings(layers, os.environ)
        return 0

    @config.command(hidden=True, help=f"The tables of {words.page}, written from the same source as --help.")
    def page() -> int:
        """See mesh_py.settings.page."""
        from mesh_py.settings.page import settings_page

        click.echo(settings_page(table, words.original), nl=False)
        return 0

    return config
