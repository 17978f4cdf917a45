"""What is measured: the values that scenarios and contestants are made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The form of the traffic."""

    BULK = "bulk"
    RR = "rr"
    BESIDE = "beside"
    """Round trips on one connection, first alone, then beside bulk."""
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


class Code(StrEnum):
    """Which form of our own hot modules runs."""

    PLAIN = "plain"
    """The Python sources: the specification, and the default."""
    COMPILED = "compiled"
    """Extension modules made from the same sources, where somebody has made them."""


ROLES = {
    Form.NODES: ("outbound", "inbound"),
    Form.SIDECARS: ("outbound", "inbound"),
    Form.WAYPOINT: ("sidecar", "waypoint", "node"),
}
"""The proxies of each form, in the order that traffic meets them."""


class Logging(StrEnum):
    """What the proxies write for each tunnel, or each request at layer 7; the same on both sides of a comparison."""

    TUNNEL = "a line per tunnel"
    NONE = "no log"


class Pool(StrEnum):
    """What a new tunnel finds."""

    WARM = "warm pool"
    """The proxies are connected."""
    COLD = "cold pool"
    """Nobody has called this pod lately: every tunnel begins with a TLS handshake."""


class Direction(StrEnum):
    """Which way bulk bytes go."""

    UP = "client to server"
    DOWN = "server to client"


@dataclass(frozen=True, slots=True)
class Stage:
    """How the proxies of a contestant stand. A scenario is measured on those whose stage is its own."""

    form: Form = Form.NODES
    logging: Logging = Logging.TUNNEL
    apart: bool = False
    """Client and server in two network namespaces, as on two nodes; else all on one loopback."""
    pool: Pool = Pool.WARM

    def __str__(self) -> str:
        place = "two namespaces" if self.apart else "loopback"
        is_per_request = self.logging is Logging.TUNNEL and self.form is not Form.NODES
        said = "a line per request" if is_per_request else self.logging.value
        return f"{self.form}, {said}, {self.pool}, {place}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One measurement. `connections` are bulk streams, busy connections or clients; sizes are bytes."""

    name: str
    title: str
    kind: Kind
    connections: int
    direction: Direction = Direction.UP
    request: int = 100
    response: int = 100
    stage: Stage = Stage()
    awake: bool = False
    """Keep the cores from sleeping meanwhile, so that the figure is not one of the machine's wake-ups."""
    fresh: bool = False
    """On proxies started for it: what they hold from before would hide what they take now."""
    for_workers: bool = False
    """One worker beside two of the same proxy; a rival's two are there for comparison."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """The proxies of one peer on one stage. `variant` names the windows, if it runs with several."""

    peer: str
    variant: str = ""
    stage: Stage = Stage()

    @property
    def name(self) -> str:
        """The name in tables: the peer and its variant."""
        return f"{self.peer}, {self.variant}" if self.variant else self.peer


@dataclass(frozen=True, slots=True)
class Target:
    """What `metric` of `scenario` must be, and what we wish it to be.

    Of `subject`; in proportion to that of `against`, or by itself where that is None.
    """

    scenario: str
    metric: str
    must: float
    goal: float
    at_least: bool
    against: str | None = "envoy"
    subject: str = "ours"
