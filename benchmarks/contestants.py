"""Who takes part: names to proxies, each in the forms that count."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from benchmarks.peers.direct import Direct
from benchmarks.peers.envoy import DEFAULT_WINDOWS, LARGE_WINDOWS, Envoy
from benchmarks.peers.envoy_chain import EnvoyChain
from benchmarks.peers.envoy_sidecars import EnvoySidecars
from benchmarks.peers.foreign import COMMAND_VARIABLE, Foreign
from benchmarks.peers.our_chain import OurChain
from benchmarks.peers.our_sidecars import OurSidecars
from benchmarks.peers.ours import Ours
from benchmarks.plan import Contestant, Form, Kind, Logging

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.peers.base import Peer
    from benchmarks.plan import Scenario

LARGE = "large windows"
"""A variant for bulk alone: a window that nobody fills makes no difference."""

PEERS: dict[str, dict[tuple[Form, str], Peer]] = {
    "ours": {(Form.NODES, ""): Ours(), (Form.SIDECARS, ""): OurSidecars(), (Form.WAYPOINT, ""): OurChain()},
    "envoy": {
        (Form.NODES, ""): Envoy(DEFAULT_WINDOWS),
        (Form.NODES, LARGE): Envoy(LARGE_WINDOWS),
        (Form.SIDECARS, ""): EnvoySidecars(),
        (Form.WAYPOINT, ""): EnvoyChain(),
    },
    "foreign": {(Form.NODES, ""): Foreign()},
    "direct": {(Form.NODES, ""): Direct()},
}
"""Peers by name, then by form and variant. Of several variants the better figure counts, metric by metric."""


def available_peers() -> list[str]:
    """The peers that can run here, in the order of the tables."""
    missing = {
        "ours": importlib.util.find_spec("ztunnel_py.__main__") is None,
        "envoy": importlib.util.find_spec("envoy") is None,
        "foreign": not os.environ.get(COMMAND_VARIABLE),
    }
    return [name for name in PEERS if not missing.get(name)]


def contestants_for(peers: Iterable[str], scenarios: Iterable[Scenario]) -> list[Contestant]:
    """Every variant of every peer that takes part in a scenario, once for each form of logging.

    `direct` writes no log, so it runs once. ValueError names an unknown peer.
    """
    scenarios = list(scenarios)
    found: list[Contestant] = []
    for name in peers:
        if name not in PEERS:
            raise ValueError(f"no peer {name}; there are: {', '.join(PEERS)}")
        loggings = [Logging.NONE] if name == "direct" else list(Logging)
        field = [Contestant(name, variant, said, form) for said in loggings for form, variant in PEERS[name]]
        found += [one for one in field if any(takes_part(one, scenario) for scenario in scenarios)]
    return found


def takes_part(contestant: Contestant, scenario: Scenario) -> bool:
    """Whether this contestant is the one to measure a scenario on."""
    if contestant.peer == "direct":  # there is no proxy whose log, form or memory could matter
        return scenario.kind is not Kind.IDLE
    if contestant.variant == LARGE and scenario.kind is not Kind.BULK:
        return False
    return contestant.logging is scenario.logging and contestant.form is scenario.form


def peer_of(contestant: Contestant) -> Peer:
    """The proxies of a contestant."""
    return PEERS[contestant.peer][contestant.form, contestant.variant]
