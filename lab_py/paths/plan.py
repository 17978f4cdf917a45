"""The post's three paths as data: who stands on them, their numbered hops, and what has to be seen of each [pure].

A hop is shown by the line of whoever receives it. The numbers are the post's (redirection 0); what only redirection
does is in one hop, for which SOCKS5 stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab_py.paths.mesh_text import HELLO_PORT, SERVICE_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab_py.paths.world import Pod, World

REQUESTS, TUNNELS = "istio_requests_total", "istio_tcp_connections_opened_total"


@dataclass(frozen=True, slots=True)
class Counter:
    """What a proxy has to have counted: samples of a family that bear these labels."""

    process: str
    family: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tunnel:
    """An encrypted hop: whose certificates prove both ends, and the counters on both sides."""

    source: Pod
    destination: Pod
    sent: Counter
    received: Counter


@dataclass(frozen=True, slots=True)
class Hop:
    """One arrow, or several that are one here."""

    number: str
    title: str
    receiver: str
    """The process whose line shows it; empty: the application, whose record does."""
    wanted: Mapping[str, str] = field(default_factory=dict)
    """Fields of a connection's line; empty: a request's line with the token in its path."""
    tunnel: Tunnel | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """One of the three."""

    number: int
    title: str
    client: Pod
    authority: str
    question: str
    """The path of the URL, to which the token is added."""
    servers: tuple[Pod, ...]
    """Who may serve: one, or each version."""
    waypoint: Pod | None = None

    @property
    def destination_service(self) -> str:
        """The service's full name, as metrics have it."""
        name = self.authority.partition(":")[0]
        return f"{name}.svc.cluster.local"

    def hops(self, server: Pod) -> list[Hop]:
        """The path, where `server` is who serves."""
        if self.waypoint is not None:
            return _by_waypoint(self, self.waypoint, server)
        return _to_sidecar(self, server) if server.beside else _to_ambient(self, server)


def paths_of(world: World) -> tuple[Path, Path, Path]:
    """All three."""
    httpbin = "/anything"
    return (
        Path(
            1, "a pod without a sidecar calls a pod with one", world.ambient_sleep,
            f"httpbin.sidecar:{SERVICE_PORT}", httpbin, (world.sidecar_httpbin,),
        ),
        Path(
            2, "a pod with a sidecar calls a pod without one", world.sidecar_sleep,
            f"httpbin.ambient:{SERVICE_PORT}", httpbin, (world.ambient_httpbin,),
        ),
        Path(
            3, "a pod with a sidecar calls pods without, by their waypoint", world.sidecar_sleep,
            f"helloworld.ambient:{HELLO_PORT}", "/hostname", (world.helloworld(1), world.helloworld(2)), world.waypoint,
        ),
    )  # fmt: skip


def _to_sidecar(path: Path, server: Pod) -> list[Hop]:
    client = path.client
    principals = _principals(client, server)
    outbound = {
        "message": "connection complete",  # the client closes it; the others are kept for more requests
        "direction": "outbound",
        "src.identity": str(client.identity),
        "dst.identity": str(server.identity),
        "dst.addr": server.hbone,
        "dst.hbone_addr": f"{server.ip}:{server.port}",
        "dst.service": path.destination_service,
    }
    tunnel = Tunnel(
        client,
        server,
        Counter(client.proxy, TUNNELS, {"reporter": "source", **principals}),
        Counter(server.proxy, REQUESTS, {"reporter": "destination", **principals}),
    )
    return [
        Hop("(1)-(5)", f"node A's {client.proxy} takes the connection of {client.label}", client.proxy, outbound),
        Hop("(6)(7)", f"{client.proxy} asks {server.proxy} at {server.hbone}", server.proxy, tunnel=tunnel),
        Hop("(8)", f"{server.proxy} calls the application, from 127.0.0.6", ""),
    ]


def _to_ambient(path: Path, server: Pod) -> list[Hop]:
    client = path.client
    sent = Counter(client.proxy, REQUESTS, {"reporter": "source", **_principals(client, server)})
    return [
        Hop("(1)-(3)", f"{client.proxy} takes the connection of {client.label}", client.proxy),
        _into_ztunnel("(4)-(8)", client, server, sent),
        Hop("(9)", f"{server.proxy} calls the application, with the address of {client.label}", ""),
    ]


def _by_waypoint(path: Path, waypoint: Pod, server: Pod) -> list[Hop]:
    client, service = path.client, {"destination_service": path.destination_service}
    source = {"source_principal": str(client.identity)}
    to_waypoint = Tunnel(
        client,
        waypoint,
        Counter(client.proxy, REQUESTS, {"reporter": "source", **source, **service}),
        Counter(waypoint.proxy, REQUESTS, {"reporter": "waypoint", **source, **service}),
    )
    sent = Counter(waypoint.proxy, REQUESTS, {"reporter": "waypoint", "destination_workload": server.name})
    return [
        Hop("(1)-(3)", f"{client.proxy} takes the connection of {client.label}", client.proxy),
        Hop("(4)", f"{client.proxy} asks {waypoint.proxy} at {waypoint.hbone}", waypoint.proxy, tunnel=to_waypoint),
        _into_ztunnel("(5)-(9)", waypoint, server, sent),
        Hop("(10)", f"{server.proxy} calls the application, with the address of {waypoint.label}", ""),
    ]


def _into_ztunnel(number: str, source: Pod, server: Pod, sent: Counter) -> Hop:
    inbound = {
        "direction": "inbound",
        "src.identity": str(source.identity),
        "dst.identity": str(server.identity),
        "dst.addr": server.hbone,
        "dst.hbone_addr": f"{server.ip}:{server.port}",
    }
    received = Counter(server.proxy, TUNNELS, {"reporter": "destination", **_principals(source, server)})
    tunnel = Tunnel(source, server, sent, received)
    return Hop(number, f"{source.proxy} asks {server.proxy} at {server.hbone}", server.proxy, inbound, tunnel)


def _principals(source: Pod, destination: Pod) -> dict[str, str]:
    return {"source_principal": str(source.identity), "destination_principal": str(destination.identity)}
