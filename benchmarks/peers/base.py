"""What the proxies of every peer offer: they start in a world, and say who they are."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmarks.plan import Code, Logging, Pool
from benchmarks.world import HBONE_PORT, inside

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.plan import Stage
    from benchmarks.processes import Processes
    from benchmarks.world import World


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the proxies are given. `certificates` has the layout of WORKLOAD_CERT_DIR, `folder` is their own."""

    world: World
    processes: Processes
    certificates: Path
    folder: Path
    stage: Stage
    code: Code = Code.PLAIN
    """In which form our own code runs."""

    @property
    def has_log(self) -> bool:
        """Whether the proxies write a line per tunnel or request."""
        return self.stage.logging is Logging.TUNNEL

    @property
    def is_cold(self) -> bool:
        """Whether every tunnel must find the proxies unconnected: an unused connection ends soon."""
        return self.stage.pool is Pool.COLD


@dataclass(frozen=True, slots=True)
class Leg:
    """Where one proxy takes the TLS of another: what is read off the wire there."""

    title: str
    address: str
    port: int = HBONE_PORT


@dataclass(frozen=True, slots=True)
class Running:
    """Proxies that are ready, by role in the order that traffic meets them. Without proxies, `direct`, none."""

    proxies: Mapping[str, subprocess.Popen[bytes]]
    version: str
    windows: str
    legs: tuple[Leg, ...] = ()
    proxy_protocol_port: int = 15001
    """Where the client side takes connections that open with a PROXY protocol header."""


class Peer(Protocol):
    """A kind of proxy, in one form."""

    def start(self, given: Surroundings) -> Running:
        """Starts all proxies and returns when they are ready. Raises BenchmarkError."""
        ...


def answers_ok(namespace: int | None, address: str, port: int, path: str) -> bool:
    """Whether an HTTP GET answers 200; any failure to ask counts as no."""
    return fetch(namespace, address, port, path) is not None


def fetch(namespace: int | None, address: str, port: int, path: str) -> str | None:
    """The body of an HTTP GET that answers 200, asked inside `namespace`; else None."""
    with inside(namespace):
        connection = http.client.HTTPConnection(address, port, timeout=2)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode(errors="replace")
            return body if response.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
