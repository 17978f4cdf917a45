"""The command line: what can be asked for, how help looks, and one clear line for whatever is wrong with it.

Help, completion and a mistyped flag must answer at once: everything that takes time to load is imported where it is
used.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ztunnel_py.complaints import complain, read_text
from ztunnel_py.setting_values import BOOLEAN
from ztunnel_py.settings_source import SettingsError, from_environment, from_flags
from ztunnel_py.settings_table import ALL, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ztunnel_py.settings_source import Given
    from ztunnel_py.settings_table import Setting

COMMAND = "ztunnel-py"
MESH_FILE = Path("etc/istio/config/mesh")
"""Where Istio puts its mesh configuration, below the working directory (hbone-dataplane 9)."""

WORLD_NET = "127.0"
WIDTH = 120
_INTERRUPTED = 130


class SettingOption(click.Option):
    """A flag of the settings table. Its value is text, or None where the flag was not given."""

    def __init__(self, setting: Setting[Any]) -> None:
        self.setting = setting
        names = [setting.option, setting.parameter]
        if setting.kind is BOOLEAN:
            names[0] = f"{setting.option}/--no-{setting.option.removeprefix('--')}"
            super().__init__(names, default=None, help=setting.meaning)
        else:
            super().__init__(names, metavar=setting.kind.metavar, help=setting.meaning)

    def row(self) -> tuple[str, str]:
        """The flag and what it means, for a help page."""
        setting = self.setting
        default = f" (default: {setting.default_text})" if setting.default_text else ""
        flag = setting.option if setting.kind is BOOLEAN else f"{setting.option} {setting.kind.metavar}"
        return flag, f"{setting.meaning}{default} [{', '.join((*setting.also, setting.name))}]"


class ProxyGroup(click.Group):
    """Serves when no command is named; shows the settings by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The settings, then the other options and the commands."""
        rows = {option.setting: option.row() for option in self.params if isinstance(option, SettingOption)}
        for title, settings in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([rows[setting] for setting in settings], col_max=42)
        others = [param.get_help_record(ctx) for param in self.get_params(ctx) if not isinstance(param, SettingOption)]
        with formatter.section("Options"):
            formatter.write_dl([record for record in others if record is not None], col_max=42)
        self.format_commands(ctx, formatter)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take every flag of the table, and `--config`."""
    file_type = click.Path(path_type=Path)
    click.option("--config", "config_file", type=file_type, help="Settings from a YAML file: names as in brackets.")(
        command
    )
    params: list[click.Option] = command.__dict__.setdefault("__click_params__", [])
    params.extend(SettingOption(setting) for setting in reversed(ALL))
    return command


def world_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command say where the embedded world stands."""
    click.option("--world-net", metavar="A.B", help="The embedded world lives on A.B.x.y. (default: 127.0)")(command)
    state = click.Path(path_type=Path, file_okay=False)
    return click.option(
        "--state-dir", type=state, help="Where it keeps its certificates and mesh file. (default: a temporary folder)"
    )(command)


def flags_of(parameters: dict[str, Any]) -> dict[str, str]:
    """The settings among click's parameters, as text by setting name."""
    given = {setting.name: parameters.get(setting.parameter) for setting in ALL}
    return {name: _text(value) for name, value in given.items() if value is not None}


def _text(value: bool | str) -> str:
    return BOOLEAN.write(value) if isinstance(value, bool) else value


def layers_of(parameters: dict[str, Any]) -> list[dict[str, Given]]:
    """Every source of settings, the strongest first. Raises SettingsError where a file cannot be used."""
    return [from_flags(flags_of(parameters)), from_environment(os.environ), *_file_layers(parameters["config_file"])]


def _file_layers(config_file: Path | None) -> Iterator[dict[str, Given]]:
    proxy_config = os.environ.get("PROXY_CONFIG")
    if config_file is None and not proxy_config and not MESH_FILE.is_file():
        return
    from ztunnel_py.settings_file import read_proxy_config, read_settings_file

    if config_file is not None:
        yield read_settings_file(read_text(config_file), str(config_file))
    if proxy_config:
        yield read_proxy_config(proxy_config, "PROXY_CONFIG")
    if MESH_FILE.is_file():
        yield read_proxy_config(read_text(MESH_FILE), str(MESH_FILE))


HELP = """\
The node proxy of an HBONE mesh: it carries connections of its workloads through mutually authenticated tunnels.

Without any setting it starts the embedded world: two node proxies on 127.0.x.y joined by a real tunnel, and an
application behind the second; it prints curl lines to try.

A flag wins over the environment, the environment over --config FILE, the file over the default. In brackets: the name
in the environment and in files. An on/off flag is turned off by --no- in front, its variable by false. Durations are
written 5m, 180s, 500ms; sizes 64MiB.

\b
Examples:
  python -m ztunnel_py                              the embedded world
  python -m ztunnel_py demo --once                  one request through it, judged; status 0 if HBONE carried it
  python -m ztunnel_py --node node-a --local-xds-path mesh.yaml --fake-ca --bind 127.0.5.1 --socks5
  PROXY_MODE=dedicated PROXY_WORKLOAD_INFO=shop/cart-1/cart LOCAL_XDS_PATH=mesh.yaml FAKE_CA=true \\
    python -m ztunnel_py                            one workload, by the real ztunnel's names
  python -m ztunnel_py config check mesh.yaml       is the file right? line, column and advice if not

\b
Exit status: 0 ok, also after SIGTERM; 1 an expectation failed; 2 usage or configuration; 130 Ctrl-C.
"""


@click.group(
    cls=ProxyGroup,
    help=HELP,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)
@settings_options
@click.option("--loop", type=click.Choice(["uvloop", "asyncio"]), help="Event loop. (default: uvloop if it is there)")
@world_options
@click.version_option(package_name="hbone-mesh", prog_name=COMMAND)
@click.pass_context
def cli(ctx: click.Context, /, **parameters: Any) -> int:
    """Serve, unless a command is named."""
    if ctx.invoked_subcommand is not None:
        if ctx.invoked_subcommand != "config" and flags_of(parameters):
            raise click.UsageError(f"{ctx.invoked_subcommand} takes no settings of a proxy")
        ctx.obj = parameters
        return 0
    from ztunnel_py.serving import serve

    return serve(layers_of(parameters), parameters | {"world_net": parameters["world_net"] or WORLD_NET})


@cli.command(help="Start the embedded world and send one real request through it; then serve until Ctrl-C.")
@click.option("--once", is_flag=True, help="End after the request: 0 only if HBONE carried it, both identities proved.")
@world_options
@click.pass_obj
def demo(outer: dict[str, Any], /, **parameters: Any) -> int:
    """The request of `make run`."""
    from ztunnel_py.demo import run_demo

    net = parameters["world_net"] or outer["world_net"] or WORLD_NET
    return run_demo(net, parameters["state_dir"] or outer["state_dir"], once=parameters["once"])


@cli.group(help="Look at settings and mesh files without starting anything.")
def config() -> None:
    """Nothing by itself."""


@config.command(help="Read a mesh file as LOCAL_XDS_PATH would: what it holds, or all that is wrong with it.")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> int:
    """See command_config.check_mesh_file."""
    from ztunnel_py.command_config import check_mesh_file

    return check_mesh_file(file)


@config.command(help="Every setting, its value, and where the value comes from. Takes all the flags of the proxy.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@settings_options
@click.pass_obj
def show(outer: dict[str, Any], /, output: str, **parameters: Any) -> int:
    """See command_config.show_settings."""
    from ztunnel_py.command_config import show_settings

    merged = {**outer, **{name: value for name, value in parameters.items() if value is not None}}
    return show_settings(layers_of(merged), output)


@config.command(hidden=True, help="The table of docs/configuration.md, written from the same source as --help.")
def page() -> int:
    """See settings_page.settings_page."""
    from ztunnel_py.settings_page import settings_page

    click.echo(settings_page(), nl=False)
    return 0


@cli.command(help=f'The completion script of a shell: eval "$({COMMAND} completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Completes flags and commands of the installed command."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, "click knows the three"
    click.echo(found(cli, {}, COMMAND, _complete_variable()).source())
    return 0


def _complete_variable() -> str:
    return f"_{COMMAND.replace('-', '_').upper()}_COMPLETE"


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit status."""
    is_module = Path(sys.argv[0]).name == "__main__.py"
    name = "python -m ztunnel_py" if is_module else COMMAND
    try:
        status = cli.main(list(arguments), name, _complete_variable(), standalone_mode=False)
    except click.UsageError as error:
        return complain(f"{error.format_message().rstrip('.')}: {name} --help lists what there is")
    except click.ClickException as error:
        return complain(error.format_message())
    except SettingsError as error:
        return complain(str(error))
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    return status if isinstance(status, int) else 0
