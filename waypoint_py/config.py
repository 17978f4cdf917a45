"""The settings of one waypoint process: read once at the start, never changed.

Below `app.py` nobody sees this bag, only the values it needs. Sources and names: `settings_table.py`; what sidecars and
waypoints are told alike: `mesh_py/settings/layer7.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.settings import layer7_table as shared
from mesh_py.settings.layer7 import Layer7Settings, Role, layer7_values
from mesh_py.settings.source import Values
from waypoint_py import settings_table as table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.source import Given

__all__ = ["Ports", "Settings", "from_values"]

ROLE = Role(
    "waypoint",
    "which workload am I",
    "admin stays",
    table.PROXY_WORKLOAD_INFO,
    table.ROOT_NAMESPACE,
    table.LOCAL_XDS_PATH,
    table.PROXY_BIND_ADDRESS,
    table.PROXY_LOCAL_ADDRESS,
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Listening ports; 0 takes any free one."""

    inbound: int = 15_008
    admin: int = 15_000
    stats: int = 15_020
    readiness: int = 15_021


@dataclass(frozen=True, slots=True)
class Settings(Layer7Settings):
    """Everything one process was told. Times are seconds, sizes bytes."""

    ports: Ports
    gateway: str
    """The Gateway it serves; empty: told by labels and manifests."""
    trusted_proxies: int
    """How many entries at the end of x-forwarded-for are believed."""


def from_values(layers: Sequence[Mapping[str, Given]], environ: Mapping[str, str]) -> Settings:
    """Settings from values of several sources, the strongest first.

    Args:
        layers: values with their origins.
        environ: for what is not ours to name: `HOME`, `SSLKEYLOGFILE`.

    Raises:
        SettingsError: a value cannot be used, or two do not go together; one line.
    """
    values = Values(layers)
    for setting in table.TABLE.all:
        values[setting]  # every value must be readable, used or not
    return Settings(
        **layer7_values(ROLE, layers, values, environ),
        ports=_ports(values),
        gateway=values[table.GATEWAY_NAME],
        trusted_proxies=values[table.NUM_TRUSTED_PROXIES],
    )


def _ports(values: Values) -> Ports:
    return Ports(
        inbound=values[table.INBOUND_PORT],
        admin=values[shared.ADMIN_PORT],
        stats=values[table.STATS_PORT],
        readiness=values[shared.READINESS_PORT],
    )
