"""What every proxy pair offers: it starts in a world, and says who it is."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmarks.world import HBONE_PORT, inside

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from benchmarks.plan import Logging
    from benchmarks.processes import Processes
    from benchmarks.world import World


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pair is given. `certificates` has the layout of WORKLOAD_CERT_DIR, `folder` is the pair's own."""

    world: World
    processes: Processes
    certificates: Path
    folder: Path
    logging: Logging


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair that is ready. Without proxies, `direct`, both processes are None."""

    outbound: subprocess.Popen[bytes] | None
    inbound: subprocess.Popen[bytes] | None
    version: str
    windows: str
    proxy_protocol_port: int = 15001
    """Where the client side takes connections that open with a PROXY protocol header."""
    peer_port: int = HBONE_PORT
    """Where the server side takes the TLS of its peer."""


class Peer(Protocol):
    """A kind of proxy, in one form."""

    def start(self, given: Surroundings) -> Pair:
        """Starts both proxies and returns when they are ready. Raises BenchmarkError."""
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
