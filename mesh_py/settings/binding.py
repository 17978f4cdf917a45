"""Where a process listens, from what it was told, and what must stay on this machine [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.address import is_loopback
from mesh_py.settings.source import SettingsError

if TYPE_CHECKING:
    from mesh_py.settings.setting import Setting
    from mesh_py.settings.source import Values


def listening_address(bind: str | None, *, ipv6: bool) -> str:
    """Where listeners bind: the address they were given, or all; `::` is meant for IPv4 too."""
    return bind or ("::" if ipv6 else "0.0.0.0")


def local_address(values: Values, bind: Setting[str | None], local: Setting[str | None], what: str) -> str:
    """The loopback address of surfaces for this machine alone: the one they were given, else `bind` if it is one.

    Args:
        what: that it stays, for the complaint: `admin and SOCKS5 stay`.

    Raises:
        SettingsError: they were given an address that others reach.
    """
    given, listening = values[local], values[bind]
    if given is None:
        return listening if listening is not None and is_loopback(listening) else "127.0.0.1"
    if not is_loopback(given):
        raise SettingsError(f"{values.origin(local)}: {given!r} is no loopback address: {what} on this machine")
    return given


def capture_by_preamble(values: Values, wanted: Setting[bool], bind: Setting[str | None]) -> bool:
    """Whether a PROXY preamble says where a captured connection was going, and came from.

    Raises:
        SettingsError: it is wanted where others than this machine reach the port.
    """
    address = values[bind]
    if values[wanted] and (address is None or not is_loopback(address)):
        raise SettingsError(
            f"{values.origin(wanted)}: whoever reaches the port could claim any source: "
            f"set {bind.name} to a loopback address"
        )
    return values[wanted]
