"""`--stub-backends`: what it sets that was not set, and what it does not go together with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.address import is_loopback
from mesh_py.settings.kinds import WorkerCount
from mesh_py.settings.source import Given, SettingsError, Values
from ztunnel_py import settings_table as table
from ztunnel_py.mode import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ORIGIN = "--stub-backends"
DEFAULTS = {
    setting.name: Given(text, _ORIGIN)
    for setting, text in (
        (table.PROXY_BIND_ADDRESS, "127.0.0.1"),
        (table.UNSTABLE_ENABLE_SOCKS5, "true"),
        (table.DNS_CAPTURE, "true"),
        # Every workload has an address of its own here, and none the machine's.
        (table.LOCALHOST_APP_TUNNEL, "false"),
    )
}
"""Weaker than anything that is given: a world of its own on loopback, entered by SOCKS5, with names."""


def with_stub_defaults(layers: Sequence[Mapping[str, Given]]) -> Values:
    """The values, completed where the applications are stand-ins. Raises SettingsError."""
    values = Values(layers)
    if not values[table.STUB_BACKENDS]:
        return values
    _refuse(values)
    return Values([*layers, DEFAULTS])


def _refuse(values: Values) -> None:
    where = values.origin(table.STUB_BACKENDS)
    if values[table.PROXY_MODE] is Mode.DEDICATED:
        raise SettingsError(f"{where}: it serves every workload of the mesh: leave PROXY_MODE=dedicated out")
    if values[table.NODE_NAME] is not None:
        raise SettingsError(f"{where}: it serves every node of the mesh: leave {values.origin(table.NODE_NAME)} out")
    if values[table.WORKERS] != WorkerCount(1):
        raise SettingsError(f"{where}: one process serves it all: leave {values.origin(table.WORKERS)} out")
    if values[table.INBOUND_PORT] != table.INBOUND_PORT.default:
        raise SettingsError(f"{where}: workloads are dialled at port 15008: leave INBOUND_PORT as it is")
    bind = values[table.PROXY_BIND_ADDRESS]
    if bind is not None and not is_loopback(bind):
        raise SettingsError(f"{where}: its world is on loopback: set PROXY_BIND_ADDRESS to a loopback address")
