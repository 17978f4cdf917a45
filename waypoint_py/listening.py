"""Where the waypoint listens."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from waypoint_py.config import Settings


def data_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of the data listener."""
    yield "inbound", settings.bind_address, settings.ports.inbound


def surface_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every admin listener."""
    yield "admin", settings.local_bind, settings.ports.admin
    yield "stats", settings.bind_address, settings.ports.stats
    yield "readiness", settings.bind_address, settings.ports.readiness


def all_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of everything it listens on."""
    return itertools.chain(data_addresses(settings), surface_addresses(settings))
