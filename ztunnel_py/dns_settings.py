"""The settings of the DNS proxy, and the addresses it listens on (hbone-controlplane 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.address import is_loopback
from mesh_py.settings.source import SettingsError
from ztunnel_py import settings_table as table
from ztunnel_py.mode import Mode

if TYPE_CHECKING:
    from mesh_py.settings.source import Values

ONLY_LOCAL = "names are told on this machine only: use localhost or a loopback address"


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """Where the DNS proxy listens, and whom it asks."""

    host: str
    """A loopback address."""
    port: int
    both_families: bool
    """Listen on ::1 too, where the machine has it."""
    upstream: tuple[tuple[str, int], ...] = ()
    """Name servers; empty: those of resolv.conf."""
    preferred_namespace: str = ""


def read_dns_settings(values: Values, mode: Mode, local_bind: str) -> DnsSettings | None:
    """None where there is no DNS proxy. Raises SettingsError.

    It is on by default where a pod's own resolver is brought here by redirection; whoever serves many from outside
    asks for it.
    """
    wanted = values[table.DNS_CAPTURE]
    if wanted is None:
        wanted = mode is not Mode.NODE
    host, port = values[table.DNS_PROXY_ADDR]
    if host != "localhost" and not is_loopback(host):
        raise SettingsError(f"{values.origin(table.DNS_PROXY_ADDR)}: {host!r}: {ONLY_LOCAL}")
    if not wanted:
        return None
    is_moved = mode is not Mode.SHARED and values.is_given(table.PROXY_BIND_ADDRESS, table.PROXY_LOCAL_ADDRESS)
    local = local_bind if is_moved else "127.0.0.1"
    return DnsSettings(
        host=local if host == "localhost" else host,
        port=port,
        both_families=host == "localhost" and not is_moved and values[table.IPV6_ENABLED],
        upstream=values[table.DNS_UPSTREAM],
        preferred_namespace=values[table.PREFERED_SERVICE_NAMESPACE],
    )
