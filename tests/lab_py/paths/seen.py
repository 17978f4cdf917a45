"""Paths that went well, as values: tests change one thing and look who notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.paths.evidence import Seen, Sent
from lab_py.paths.plan import REQUESTS, paths_of
from lab_py.paths.world import World

if TYPE_CHECKING:
    from lab_py.paths.plan import Counter, Hop, Path

WORLD = World("127.9")
ONE, TWO, THREE = paths_of(WORLD)


def request_line(token: str, status: int = 200, flags: str = "-", details: str = "via_upstream") -> str:
    """A line as sidecars and waypoints write it."""
    return (
        f'[2026-01-02T03:04:05.678Z] "GET /x?token={token} HTTP/1.1" {status} {flags} {details} - "-" 0 29 2 1 "-" "-"'
        ' "an-id" "host:5000" "127.9.2.2:8080" inbound|8080|| 127.9.2.1:7 127.9.2.1:8080 127.9.1.1:4 - default'
    )


def connection_line(hop: Hop, error: str = "") -> str:
    """A line as ztunnels write it."""
    fields = " ".join(f'{name}="{value}"' for name, value in hop.wanted.items())
    end = f' error="{error}"' if error else ""
    return f"2026-01-02T03:04:05.678901Z\tinfo\taccess\tconnection complete\t{fields}{end}"


def sample(counter: Counter, value: int) -> str:
    """A counter as /metrics has it."""
    labels = ",".join(f'{name}="{text}"' for name, text in {**counter.labels, "response_code": "200"}.items())
    return f"{counter.family}{{{labels}}} {value}\n"


def went_well(path: Path) -> Seen:
    """All witnesses agree: one request, or by weight two to each version and one by its header."""
    version = [""] if len(path.servers) == 1 else ["", "", "", "", "v2"]
    sent = [Sent(f"t0ken-{n}", v, 200, f"t0ken-{n} {_server(path, n)}") for n, v in enumerate(version)]
    seen = Seen(sent)
    seen.calls = {pod.label: [] for pod in WORLD.servers}
    for number, one in enumerate(sent):
        server = path.servers[0 if number < 2 else -1]
        seen.calls[server.label].append(_call(path, server.beside, one.token))
    lines = []
    for server in path.servers:
        for hop in path.hops(server):
            if hop.receiver:
                lines.append((hop.receiver, connection_line(hop) if hop.wanted else request_line(sent[0].token)))
            if hop.tunnel is not None:
                _count(seen, hop, len(sent))
    seen.lines = tuple(lines)
    return seen


def _server(path: Path, number: int) -> str:
    return path.servers[0 if number < 2 else -1].name


def _call(path: Path, beside: str, token: str) -> dict[str, object]:
    peer = "127.0.0.6" if beside else (path.waypoint or path.client).ip
    told = {"x-forwarded-client-cert": f"URI={path.client.identity}"} if beside else {}
    call = {"time": "T", "method": "GET", "path": f"/x?token={token}", "local": "127.9.2.2:8080"}
    return {**call, "peer": f"{peer}:5", "headers": told}


def _count(seen: Seen, hop: Hop, requests: int) -> None:
    assert hop.tunnel is not None
    there = hop.tunnel.destination
    seen.shown[there.proxy] = str(there.identity), True
    for counter in (hop.tunnel.sent, hop.tunnel.received):
        line = sample(counter, requests if counter.family == REQUESTS else 1)
        if line not in seen.metrics.get(counter.process, ""):
            seen.metrics[counter.process] = seen.metrics.get(counter.process, "") + line
