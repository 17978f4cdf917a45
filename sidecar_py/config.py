"""The settings of one sidecar process: read once at the start, never changed.

Below `app.py` nobody sees this bag, only the values it needs. Sources and names: `settings_table.py`; what sidecars and
waypoints are told alike: `mesh_py/settings/layer7.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.settings import layer7_table as shared
from mesh_py.settings.binding import capture_by_preamble
from mesh_py.settings.layer7 import Layer7Settings, Role, layer7_values
from mesh_py.settings.source import SettingsError, Values
from sidecar_py import settings_table as table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.source import Given

__all__ = ["Ports", "Scrape", "Settings", "from_values"]

ROLE = Role(
    "sidecar",
    "whom do I stand beside",
    "admin and SOCKS5 stay",
    table.PROXY_WORKLOAD_INFO,
    table.ROOT_NAMESPACE,
    table.LOCAL_XDS_PATH,
    table.PROXY_BIND_ADDRESS,
    table.PROXY_LOCAL_ADDRESS,
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Listening ports; 0 takes any free one."""

    outbound: int = 15_001
    plaintext: int = 15_006
    inbound: int = 15_008
    socks5: int = 15_080
    admin: int = 15_000
    stats: int = 15_020
    readiness: int = 15_021


@dataclass(frozen=True, slots=True)
class Scrape:
    """Where the application's own metrics are."""

    port: int
    path: str = "/metrics"


@dataclass(frozen=True, slots=True)
class Settings(Layer7Settings):
    """Everything one process was told. Times are seconds, sizes bytes."""

    ports: Ports
    socks5_enabled: bool
    proxy_protocol_capture: bool
    captured_ports: tuple[int, ...]
    """Where 15006 listens as well, in place of redirection."""
    app_address: str | None
    """Where the application listens; None: at the address that was dialled."""

    registry_only: bool
    """Connections to nobody the mesh knows are refused."""
    waypoint_form: str
    """post, service or today."""
    prefers_hbone: bool
    inbound_mtls: str
    """What is asked of peers where no PeerAuthentication says it."""

    scrape: Scrape | None


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
        socks5_enabled=values[table.UNSTABLE_ENABLE_SOCKS5],
        proxy_protocol_capture=capture_by_preamble(values, table.PROXY_PROTOCOL_CAPTURE, table.PROXY_BIND_ADDRESS),
        captured_ports=values[table.CAPTURED_PORTS],
        app_address=values[table.APP_ADDRESS] or ("127.0.0.1" if values[table.CAPTURED_PORTS] else None),
        registry_only=values[table.OUTBOUND_TRAFFIC_POLICY] == "REGISTRY_ONLY",
        waypoint_form=values[table.WAYPOINT_FORM],
        prefers_hbone=values[table.PREFER_SENDING_HBONE],
        inbound_mtls=values[table.INBOUND_MTLS],
        scrape=_scrape(values),
    )


def _ports(values: Values) -> Ports:
    return Ports(
        outbound=values[table.OUTBOUND_PORT],
        plaintext=values[table.PLAINTEXT_PORT],
        inbound=values[table.INBOUND_PORT],
        socks5=values[table.SOCKS5_PORT],
        admin=values[shared.ADMIN_PORT],
        stats=values[table.STATS_PORT],
        readiness=values[shared.READINESS_PORT],
    )


def _scrape(values: Values) -> Scrape | None:
    text = values[table.ISTIO_PROMETHEUS_ANNOTATIONS]
    if not text:
        return None
    where = values.origin(table.ISTIO_PROMETHEUS_ANNOTATIONS)
    try:
        told = json.loads(text)
        if str(told.get("scrape", "")).lower() != "true":
            return None
        port, path = int(told["port"]), str(told.get("path") or "/metrics")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise SettingsError(
            f'{where}: write JSON such as {{"scrape":"true","port":"9090","path":"/metrics"}}'
        ) from None
    if not 0 < port < 65_536 or not path.startswith("/"):
        raise SettingsError(f"{where}: a port from 1 to 65535 and a path that begins with / are needed")
    return Scrape(port, path)
