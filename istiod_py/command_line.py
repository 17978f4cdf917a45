"""The command line: what can be asked for, how help looks, and one clear line for whatever is wrong with it.

Help, completion and a mistyped flag must answer at once: everything that takes time to load is imported where it is
used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from istiod_py.settings_table import TABLE
from mesh_py.settings.command import add_completion, run_command, version_option
from mesh_py.settings.options import HELP_STYLE, SettingsGroup, layers_of, settings_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND = "istiod-py"
SETTINGS_FLAG = "--settings"
"""`--config` names the folder, as it does for people."""

HELP = """\
The control plane of an HBONE mesh, without a cluster: it turns a folder of Kubernetes manifests into discovery (xDS)
and certificates for node proxies, sidecars, waypoints and Envoys, real ones too, and follows every edit.

A flag wins over the environment, the environment over --settings FILE, the file over the default. In brackets: the
name in the environment and in files. An on/off flag is turned off by --no- in front, its variable by false. Durations
are written 5m, 180s, 500ms.

\b
Examples:
  python -m istiod_py --config mesh/                serve a folder; prints how a node proxy joins
  python -m istiod_py --config mesh/ --bind 127.0.9.1     all of it on one loopback address
  python -m istiod_py token istio-system/ztunnel --node node-a    a token, to be AUTH_TOKEN
  python -m istiod_py token shop/cart --ttl 10m > cart.token
  python -m istiod_py root-cert                     what to trust (XDS_ROOT_CA, CA_ROOT_CA)
  python -m istiod_py --config mesh/ envoy-bootstrap default/sleep --out sleep/    for a real Envoy
  python -m istiod_py --config mesh/ envoy-resources default/sleep    what it will be told
  python -m istiod_py check mesh/                   what is wrong with the folder, and where
  curl http://127.0.0.1:15014/debug                 who is connected, what is served, what is wrong

\b
Exit status: 0 ok, also after SIGTERM; 1 `check` found errors; 2 usage or configuration; 130 Ctrl-C.
"""


@click.group(
    cls=SettingsGroup,
    table=TABLE,
    help=HELP,
    invoke_without_command=True,
    context_settings=HELP_STYLE,
)
@settings_options(TABLE, SETTINGS_FLAG)
@click.option("--loop", type=click.Choice(["uvloop", "asyncio"]), help="Event loop. (default: uvloop if it is there)")
@version_option(COMMAND)
@click.pass_context
def cli(ctx: click.Context, /, **parameters: Any) -> int:
    """Serve, unless a command is named."""
    ctx.obj = parameters
    if ctx.invoked_subcommand is None:
        return _serve(parameters)
    return 0


def _serve(parameters: Mapping[str, Any]) -> int:
    from istiod_py.config import from_values
    from mesh_py.process.console import Console
    from mesh_py.process.file_limit import raise_file_limit
    from mesh_py.process.run_loop import started

    settings = from_values(layers_of(TABLE, parameters), os.environ)
    raise_file_limit()
    from istiod_py.app import run as serve

    return started(serve(settings, Console()), parameters["loop"])


@cli.command(help="Serve the folder: the same as without a command.")
@settings_options(TABLE, SETTINGS_FLAG)
@click.pass_obj
def serve(outer: dict[str, Any], /, **parameters: Any) -> int:
    """See app.run."""
    return _serve(merged(outer, parameters))


@cli.command(
    help="Check manifests: what is wrong, where, and what to do. DIR may be a file, or - for what is piped in."
)
@click.argument("path", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "sarif"]),
    default="table",
    show_default=True,
    help="For people, for scripts, for code hosts.",
)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@settings_options(TABLE, SETTINGS_FLAG)
@click.pass_obj
def check(outer: dict[str, Any], /, path: Path | None, output: str, strict: bool, **parameters: Any) -> int:
    """See command_check.print_report."""
    from istiod_py.command_check import print_report

    return print_report(layers_of(TABLE, merged(outer, parameters)), path, output, is_strict=strict)


@cli.command(help="Mint a token for a service account: it is what AUTH_TOKEN holds.")
@click.argument("account", metavar="NAMESPACE/SERVICE-ACCOUNT")
@click.option("--node", help="The node it speaks on: a node proxy gets certificates for pods of this node only.")
@click.option("--pod", help="The pod's name.")
@click.option("--ttl", default="12h", show_default=True, help="How long it holds.")
@settings_options(TABLE, SETTINGS_FLAG)
@click.pass_obj
def token(
    outer: dict[str, Any], /, account: str, node: str | None, pod: str | None, ttl: str, **parameters: Any
) -> int:
    """See command_token.print_token."""
    from istiod_py.command_token import print_token

    layers = layers_of(TABLE, merged(outer, parameters))
    return print_token(layers, account, node=node or "", pod=pod or "", lifetime=ttl)


@cli.command(
    "new-token-key",
    help="Sign tokens with a new key from now on. Those of the present one hold until they end, or the next change.",
)
@settings_options(TABLE, SETTINGS_FLAG)
@click.pass_obj
def new_token_key(outer: dict[str, Any], /, **parameters: Any) -> int:
    """See command_token.change_token_key."""
    from istiod_py.command_token import change_token_key

    return change_token_key(layers_of(TABLE, merged(outer, parameters)))


@cli.command("root-cert", help="Print the roots that proxies are to trust; makes the authority if there is none yet.")
@settings_options(TABLE, SETTINGS_FLAG)
@click.pass_obj
def root_cert(outer: dict[str, Any], /, **parameters: Any) -> int:
    """See command_token.print_roots."""
    from istiod_py.command_token import print_roots

    return print_roots(layers_of(TABLE, merged(outer, parameters)))


@cli.command("envoy-bootstrap", help="Write what a pod's real Envoy starts with: its place, its token, who we are.")
@click.argument("pod", metavar="NAMESPACE/POD")
@click.option("--out", type=click.Path(file_okay=False), required=True, metavar="DIR", help="Where the files go.")
@click.option("--control-plane", metavar="HOST:PORT", help="Where we are reached. (default: --bind, port 15012)")
@click.option("--token-file", metavar="FILE", help="Its bearer token. (default: one is made, for 12 hours)")
@click.option("--certificate", metavar="FILE", help="In place of a token: its certificate chain ...")
@click.option("--key", metavar="FILE", help="... and the private key.")
@click.option("--access-log", default="", metavar="FILE", help="Where it writes a line for each request, as JSON.")
@click.option("--credentials-dir", default="", metavar="DIR", help="Where the Secrets of DestinationRules are mounted.")
@settings_options(TABLE, SETTINGS_FLAG)
@click.pass_obj
def envoy_bootstrap(
    outer: dict[str, Any],
    /,
    pod: str,
    out: str,
    control_plane: str | None,
    token_file: str | None,
    certificate: str | None,
    key: str | None,
    access_log: str,
    credentials_dir: str,
    **parameters: Any,
) -> int:
    """See command_envoy.write_bootstrap."""
    from pathlib import Path

    from istiod_py.command_envoy import Machine, Proof, write_bootstrap

    layers = layers_of(TABLE, merged(outer, parameters))
    proof, machine = Proof(token_file, certificate, key), Machine(access_log, credentials_dir)
    return write_bootstrap(layers, pod, Path(out), proof, control_plane, machine)


@cli.command("envoy-resources", help="Print all that a pod's Envoy would be told, but for its certificates.")
@click.argument("pod", metavar="NAMESPACE/POD")
@click.option("--form", type=click.Choice(["today", "1.18"]), default="today", show_default=True, help="Whose form.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@settings_options(TABLE, SETTINGS_FLAG)
@click.pass_obj
def envoy_resources(outer: dict[str, Any], /, pod: str, form: str, output: str, **parameters: Any) -> int:
    """See command_envoy.print_resources."""
    from istiod_py.command_envoy import print_resources

    return print_resources(layers_of(TABLE, merged(outer, parameters)), pod, form, output)


@cli.group(help="Look at settings without starting anything.")
def config() -> None:
    """Nothing by itself."""


@config.command(help="Every setting, its value, and where the value comes from. Takes all the flags.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@settings_options(TABLE, SETTINGS_FLAG)
@click.pass_obj
def show(outer: dict[str, Any], /, output: str, **parameters: Any) -> int:
    """See mesh_py.settings.show."""
    from mesh_py.settings.show import print_settings

    print_settings(TABLE, layers_of(TABLE, merged(outer, parameters)), output)
    return 0


@config.command(hidden=True, help="The tables of docs/control-plane.md, written from the same source as --help.")
def page() -> int:
    """See mesh_py.settings.page."""
    from mesh_py.settings.page import settings_page

    click.echo(settings_page(TABLE, "istiod"), nl=False)
    return 0


add_completion(cli, COMMAND)


def merged(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """Flags before a command and after it; those after it win."""
    return {**outer, **{name: value for name, value in inner.items() if value is not None}}


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit status."""
    return run_command(cli, arguments, script=COMMAND, module="istiod_py")
