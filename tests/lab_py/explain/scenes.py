"""A path of three hops, and what may be seen of it: in small, as `explain` has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lab_py.builtin import load
from lab_py.evidence.checks import CountsRule, Flow, Logs, Observed, Part, SeesPackets
from lab_py.evidence.packets import Packet
from lab_py.explain.scene import Scene
from lab_py.hops.base import Hop

TOPOLOGY = load("ambient-to-sidecar")
CLIENT, VIRTUAL = ("10.244.1.10", 40000), ("10.96.0.10", 8000)
SYN, ACK = Packet(CLIENT, VIRTUAL, "S", 60), Packet(CLIENT, VIRTUAL, ".", 52)
OUTER = SYN._replace(vni=1001)
FLOW = Flow(source=CLIENT[0], destination=VIRTUAL[0], port=VIRTUAL[1])

HOPS = (
    Hop(
        "1",
        "node-a marks it",
        (SeesPackets("node-a", "v-sleep", FLOW), CountsRule("node-a", "P15", "mangle PREROUTING", 1)),
    ),
    Hop("2", "into the tunnel", (SeesPackets("node-a", "istioout", FLOW, Part.ONLY_SYN),)),
    Hop("3", "to ztunnel", (Logs("zt-node-a", {"message": "connection complete", "error": None}),)),
)
LOGGED = {"zt-node-a": [{"message": "connection complete"}]}
WHOLE = Observed(
    packets={
        ("node-a", "v-sleep"): [SYN, ACK],
        ("node-a", "istioout"): [SYN],
        ("node-a", "v-zt"): [OUTER],
        ("zt-node-a", "pistioout"): [SYN],
    },
    counters={"node-a": {"P15": 1}},
    logs=LOGGED,
    status=200,
)


def scene(observed: Observed = WHOLE, **more: Any) -> Scene:
    """The request, and what surrounds it."""
    return Scene(TOPOLOGY, HOPS, observed, **more)


def seen(**changes: Any) -> Observed:
    """The whole with other packets (by namespace and device, `node_a__istioout`), or other fields."""
    packets = dict(WHOLE.packets)
    for name in [name for name in changes if "__" in name]:
        namespace, device = name.replace("_", "-").split("--")
        packets[namespace, device] = changes.pop(name)
    return replace(WHOLE, packets=packets, **changes)
