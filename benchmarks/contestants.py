"""Who takes part: names to proxies, each in the forms that count."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from benchmarks import interpreter
from benchmarks.peers.compiled import Compiled
from benchmarks.peers.direct import Direct
from benchmarks.peers.envoy import DEFAULT_WINDOWS, LARGE_WINDOWS, Envoy
from benchmarks.peers.envoy_chain import EnvoyChain
from benchmarks.peers.envoy_sidecars import EnvoySidecars
from benchmarks.peers.foreign import COMMAND_VARIABLE, Foreign
from benchmarks.peers.our_chain import OurChain
from benchmarks.peers.our_sidecars import OurSidecars
from benchmarks.peers.ours import Ours
from benchmarks.plan import Contestant, Form, Kind, Logging, Pool, Stage
from benchmarks.scenarios import COMPILED, COMPILED_TWO_WORKERS, ENVOY_TWO_WORKERS, TWO_WORKERS, WORKER_PAIRS
from lab_py.peers.envoy import find_envoy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.peers.base import Peer
    from benchmarks.plan import Scenario

DIRECT = "direct"
"""No proxy: what the machine can do."""
LARGE = "large windows"
"""A variant for bulk alone: a window that nobody fills makes no difference."""

_OURS: dict[tuple[Form, str], Peer] = {
    (Form.NODES, ""): Ours(),
    (Form.SIDECARS, ""): OurSidecars(),
    (Form.WAYPOINT, ""): OurChain(),
}
PEERS: dict[str, dict[tuple[Form, str], Peer]] = {
    "ours": _OURS,
    COMPILED: {stand: Compiled(peer) for stand, peer in _OURS.items()},
    TWO_WORKERS: {(Form.NODES, ""): Ours(workers=2)},
    COMPILED_TWO_WORKERS: {(Form.NODES, ""): Compiled(Ours(workers=2))},
    "envoy": {
        (Form.NODES, ""): Envoy(DEFAULT_WINDOWS),
        (Form.NODES, LARGE): Envoy(LARGE_WINDOWS),
        (Form.SIDECARS, ""): EnvoySidecars(),
        (Form.WAYPOINT, ""): EnvoyChain(),
    },
    ENVOY_TWO_WORKERS: {(Form.NODES, ""): Envoy(DEFAULT_WINDOWS, workers=2)},
    "foreign": {(Form.NODES, ""): Foreign()},
    DIRECT: {(Form.NODES, ""): Direct()},
}
"""Peers by name, then by form and variant. Of several variants the better figure counts, metric by metric."""


def available_peers() -> list[str]:
    """The peers that can run here, in the order of the tables."""
    missing = {
        "ours": importlib.util.find_spec("ztunnel_py.__main__") is None,
        COMPILED: not interpreter.has_compiled(),
        COMPILED_TWO_WORKERS: not interpreter.has_compiled(),
        "envoy": find_envoy() is None,
        ENVOY_TWO_WORKERS: find_envoy() is None,
        "foreign": not os.environ.get(COMMAND_VARIABLE),
    }
    return [name for name in PEERS if not missing.get(name)]


def contestants_for(peers: Iterable[str], scenarios: Iterable[Scenario]) -> list[Contestant]:
    """Every variant of every peer on every stage where it takes part in a scenario. ValueError names an unknown peer.

    `direct` has no proxy that a stage could make a difference to, but for where the applications are.
    """
    scenarios = list(scenarios)
    stages = list(dict.fromkeys(scenario.stage for scenario in scenarios))
    found: list[Contestant] = []
    for name in peers:
        if name not in PEERS:
            raise ValueError(f"no peer {name}; there are: {', '.join(PEERS)}")
        own = [Stage(logging=Logging.NONE)] if name == DIRECT else stages
        field = [
            Contestant(name, variant, stage) for stage in own for form, variant in PEERS[name] if form is stage.form
        ]
        found += [one for one in field if any(takes_part(one, scenario) for scenario in scenarios)]
    return found


def takes_part(contestant: Contestant, scenario: Scenario) -> bool:
    """Whether this contestant is one to measure a scenario on."""
    if contestant.peer == DIRECT:  # it says what the machine can do, and that once
        apart = scenario.stage.apart or scenario.for_workers
        return not (apart or scenario.kind is Kind.IDLE)
    if scenario.for_workers and not _stands_beside_two_workers(contestant, scenario):
        return False
    if contestant.peer in WORKER_PAIRS.values() and not scenario.for_workers:
        return False
    if contestant.variant == LARGE and scenario.kind is not Kind.BULK:
        return False
    if contestant.peer == "foreign" and scenario.stage.pool is Pool.COLD:
        return False
    return contestant.stage == scenario.stage


def _stands_beside_two_workers(contestant: Contestant, scenario: Scenario) -> bool:
    """How connections are spread is asked of processes alone: the sockets of Envoy's threads cannot be told apart."""
    if contestant.peer in ("envoy", ENVOY_TWO_WORKERS):
        return scenario.kind is not Kind.IDLE and not contestant.variant
    return contestant.peer in WORKER_PAIRS or contestant.peer in WORKER_PAIRS.values()


def peer_of(contestant: Contestant) -> Peer:
    """The proxies of a contestant."""
    return PEERS[contestant.peer][contestant.stage.form, contestant.variant]
