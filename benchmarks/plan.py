"""What is measured: scenarios, contestants, and the targets the figures are held to. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The form of the traffic."""

    BULK = "bulk"
    RR = "rr"
    CONNECT = "connect"
    IDLE = "idle"
    HTTP = "http"
    """Requests of layer 7, whose answers are small."""
    DOWNLOAD = "download"
    """Requests of layer 7, whose answers are bulk."""


class Form(StrEnum):
    """Which proxies stand between the applications."""

    NODES = "node proxies"
    """An outbound and an inbound node proxy: layer 4."""
    SIDECARS = "sidecars"
    """A sidecar on each side, Istio's mutual TLS between them: layer 7."""
    WAYPOINT = "waypoint chain"
    """A sidecar, a waypoint and the node proxy that ends the tunnel; HBONE on both legs: layer 7."""


ROLES = {
    Form.NODES: ("outbound", "inbound"),
    Form.SIDECARS: ("outbound", "inbound"),
    Form.WAYPOINT: ("sidecar", "waypoint", "node"),
}
"""The proxies of each form, in the order that traffic meets them."""

DOWNLOAD_BYTES = 16_000_000
"""What one answer of a download carries."""


class Direction(StrEnum):
    """Which way bulk bytes go."""

    UP = "client to server"
    DOWN = "server to client"


class Logging(StrEnum):
    """What the proxies write for each tunnel, or each request at layer 7; the same on both sides of a comparison."""

    TUNNEL = "a line per tunnel"
    NONE = "no log"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One measurement. `connections` are bulk streams, busy connections or clients; sizes are bytes."""

    name: str
    title: str
    kind: Kind
    connections: int
    direction: Direction = Direction.UP
    request: int = 64
    response: int = 64
    logging: Logging = Logging.TUNNEL
    form: Form = Form.NODES
    awake: bool = False
    """Keep the cores from sleeping meanwhile, so that the figure is not one of the machine's wake-ups."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """The proxies of one peer in one form. `variant` names the windows, if it runs with several."""

    peer: str
    variant: str
    logging: Logging
    form: Form = Form.NODES

    @property
    def name(self) -> str:
        """The name in tables: the peer and its variant."""
        return f"{self.peer}, {self.variant}" if self.variant else self.peer


@dataclass(frozen=True, slots=True)
class Target:
    """`ours / rival`, in `metric` of `scenario`, must be at least (or at most) `ratio`."""

    scenario: str
    metric: str
    ratio: float
    at_least: bool


def _bulk(streams: int, direction: Direction) -> Scenario:
    short = "up" if direction is Direction.UP else "down"
    plural = "stream" if streams == 1 else "streams"
    return Scenario(f"bulk-{streams}-{short}", f"bulk, {streams} {plural}, {direction}", Kind.BULK, streams, direction)


def _rr(connections: int, awake: bool = False) -> Scenario:
    plural = "connection" if connections == 1 else "connections"
    title = f"round trips of 64 bytes, {connections} {plural}{_AWAKE[awake]}"
    return Scenario(f"rr-{connections}{'-awake' * awake}", title, Kind.RR, connections, awake=awake)


def _connect(clients: int, logging: Logging, awake: bool = False) -> Scenario:
    plural = "client" if clients == 1 else "clients"
    suffix = "-quiet" * (logging is Logging.NONE) + "-awake" * awake
    title = f"new tunnels, {clients} {plural}, {logging}{_AWAKE[awake]}"
    return Scenario(f"connect-{clients}{suffix}", title, Kind.CONNECT, clients, logging=logging, awake=awake)


_AWAKE = {False: "", True: ", cores kept awake"}


def _idle(tunnels: int) -> Scenario:
    return Scenario(f"idle-{tunnels}", f"{tunnels:,} idle tunnels", Kind.IDLE, tunnels)


def _http(form: Form, connections: int, logging: Logging) -> Scenario:
    plural = "connection" if connections == 1 else "connections"
    said = "a line per request" if logging is Logging.TUNNEL else logging.value
    title = f"HTTP/1.1 GETs {_L7_TITLES[form]}, {connections} {plural}, {said}"
    name = f"{_L7_NAMES[form]}-{connections}{'-quiet' * (logging is Logging.NONE)}"
    return Scenario(name, title, Kind.HTTP, connections, response=100, logging=logging, form=form)


def _download(form: Form, connections: int) -> Scenario:
    plural = "connection" if connections == 1 else "connections"
    title = f"HTTP/1.1 downloads {_L7_TITLES[form]}, {connections} {plural}"
    name = f"{_L7_NAMES[form]}-bulk-{connections}"
    return Scenario(name, title, Kind.DOWNLOAD, connections, response=DOWNLOAD_BYTES, form=form)


_L7_NAMES = {Form.SIDECARS: "http", Form.WAYPOINT: "chain"}
_L7_TITLES = {Form.SIDECARS: "between sidecars", Form.WAYPOINT: "through sidecar, waypoint and node proxy"}


SCENARIOS = (
    *(_bulk(streams, direction) for streams in (1, 8) for direction in Direction),
    _rr(1),
    _rr(1, awake=True),
    _rr(32),
    *(_connect(clients, logging) for logging in Logging for clients in (1, 16)),
    _connect(1, Logging.TUNNEL, awake=True),
    _idle(1000),
    *(_http(Form.SIDECARS, connections, logging) for logging in Logging for connections in (1, 32)),
    *(_http(Form.WAYPOINT, connections, logging) for logging in Logging for connections in (1, 32)),
    *(_download(Form.WAYPOINT, connections) for connections in (1, 8)),
)

TARGETS = (
    *(Target(s.name, "gbit_s", 1.0, True) for s in SCENARIOS if s.kind is Kind.BULK),
    *(Target(s.name, "cpu_s_per_gb", 1.0, False) for s in SCENARIOS if s.kind is Kind.BULK),
    Target("rr-32", "per_second", 1.0, True),
    Target("rr-1", "p50_us", 1.2, False),
    *(Target(s.name, "per_second", 1.0, True) for s in SCENARIOS if s.kind is Kind.CONNECT and not s.awake),
    *(Target(s.name, "per_second", 0.5, True) for s in SCENARIOS if s.kind is Kind.HTTP),
)


def choose_scenarios(words: list[str]) -> list[Scenario]:
    """Scenarios whose name is, or begins with, one of `words`; all without words. ValueError names an idle word."""
    if not words:
        return list(SCENARIOS)
    idle = [word for word in words if not any(_matches(s, word) for s in SCENARIOS)]
    if idle:
        known = ", ".join(s.name for s in SCENARIOS)
        raise ValueError(f"no scenario {', '.join(idle)}; there are: {known}")
    return [s for s in SCENARIOS if any(_matches(s, word) for word in words)]


def _matches(scenario: Scenario, word: str) -> bool:
    return scenario.name == word or scenario.name.startswith(f"{word}-")
