"""A role's settings, as small as they can be, and its command line."""

from __future__ import annotations

from typing import Any

import click

from hbone_py.aio.form import choose
from mesh_py.settings.command import add_completion, version_option
from mesh_py.settings.kinds import BOOLEAN, NAME, PORT, SIZE, TEXT, WHOLE_SECONDS, WORKER_COUNT, WorkerCount
from mesh_py.settings.options import HELP_STYLE, SettingsGroup, layers_of, settings_options
from mesh_py.settings.setting import SettingsTable, setting, unset
from mesh_py.settings.show import print_settings

NODE_NAME = unset("NODE_NAME", NAME, "Our node.", flag="--node", note="the host's name")
NETWORK = setting("NETWORK", TEXT, "", "Our network.")
CLUSTER_ID = setting("CLUSTER_ID", NAME, "Kubernetes", "Our cluster.", also=("ISTIO_META_CLUSTER_ID",))
FAKE_CA = setting("FAKE_CA", BOOLEAN, False, "Sign ourselves.")
ADMIN_PORT = setting("ADMIN_PORT", PORT, 15_000, "For people.")
STATS_PORT = setting("STATS_PORT", PORT, 15_020, "For machines.", theirs="15090")
WORKERS = setting("WORKER_THREADS", WORKER_COUNT, WorkerCount(1), "Processes that share the ports.", flag="--workers")
STREAM_WINDOW = setting("HTTP2_STREAM_WINDOW_SIZE", SIZE, 16 << 20, "Bytes unread.", flag="--stream-window")
KEEPALIVE_TIME = setting("KEEPALIVE_TIME", WHOLE_SECONDS, 180, "Idle time before the first probe.")
DNS_CAPTURE = unset("DNS_CAPTURE", BOOLEAN, "Answer DNS.", flag="--dns", also=("ISTIO_META_DNS_CAPTURE",))

TABLE = SettingsTable(
    {
        "Whom it serves": (NODE_NAME, NETWORK, CLUSTER_ID, FAKE_CA),
        "How (and how much)": (ADMIN_PORT, STATS_PORT, WORKERS, STREAM_WINDOW, KEEPALIVE_TIME, DNS_CAPTURE),
    }
)
PROXY_CONFIG_KEYS = {"proxyAdminPort": ADMIN_PORT, "statsPort": STATS_PORT, "concurrency": WORKERS}


@click.group(cls=SettingsGroup, table=TABLE, invoke_without_command=True, context_settings=HELP_STYLE)
@settings_options(TABLE)
@click.option("--output", default="json")
@version_option("example-role")
@click.pass_context
def cli(ctx: click.Context, /, output: str, **parameters: Any) -> int:
    """Show the settings, unless a command is named."""
    if ctx.invoked_subcommand is None:
        print_settings(TABLE, layers_of(TABLE, parameters, PROXY_CONFIG_KEYS), output)
    return 0


add_completion(cli, "example-role")


@cli.command()
def interrupted() -> int:
    """As if somebody had pressed Ctrl-C."""
    raise KeyboardInterrupt


@cli.command()
def formless() -> int:
    """As if a form of the hot modules had been asked for that is not there."""
    choose("fast")
    return 0


@cli.command()
def failing() -> int:
    """As if something had not been as expected."""
    return 1
