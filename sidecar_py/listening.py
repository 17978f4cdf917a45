"""Where the sidecar listens."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar_py.config import Settings

CAPTURED = "captured "
"""How the names of the listeners begin that stand in the application's place (`CAPTURED_PORTS`)."""
KEPT_ALIVE = ("outbound", "plaintext")
"""Listeners whose connections get TCP keepalive."""


def data_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every data listener."""
    host, ports = settings.bind_address, settings.ports
    yield "outbound", host, ports.outbound
    yield "plaintext", host, ports.plaintext
    yield "inbound", host, ports.inbound
    for port in settings.captured_ports:
        yield f"{CAPTURED}{port}", host, port
    if settings.socks5_enabled:
        yield "socks5", settings.local_bind, ports.socks5


def surface_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every admin listener."""
    yield "admin", settings.local_bind, settings.ports.admin
    yield "stats", settings.bind_address, settings.ports.stats
    yield "readiness", settings.bind_address, settings.ports.readiness


def all_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of everything it listens on."""
    return itertools.chain(data_addresses(settings), surface_addresses(settings))
