"""Where everything stands in the picture: nodes one above the other, as wide as a phone [pure].

A node is a box; in it are its pods, its own devices, and its ztunnel pod. Whatever a finding can name is a chip: a
device (`node-a istioout`), the rules of a namespace (`node-a rules`), a process by its name (`sidecar-httpbin`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lab_py.topology import Design

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

WIDTH = 416
"""Of the picture, in its own units; a phone shows it at its natural size."""
LANE = WIDTH - 9
"""Where the fabric between the nodes runs down, beside them."""
_NODES_WIDTH = WIDTH - 22
_MARGIN, _PADDING, _GAP = 6, 10, 8
_TITLE = 22
_CHIP_HEIGHT, _CHIP_GAP, _CHIP_PADDING, _LETTER = 22, 6, 11, 6.7
_BETWEEN_NODES = 26
_PODS_PER_ROW = 2


@dataclass(frozen=True, slots=True)
class Box:
    """A node or a pod."""

    kind: str
    """node, ztunnel, or the pod's own: plain, ambient, sidecar, waypoint."""
    name: str
    note: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chip:
    """Something that a finding can name."""

    key: str
    text: str
    kind: str
    """device, rules or process."""
    x: float
    y: float
    width: float
    node: str = ""
    """Where it is, as all of its pod's are."""

    @property
    def middle(self) -> tuple[float, float]:
        """Where lines meet."""
        return self.x + self.width / 2, self.y + _CHIP_HEIGHT / 2


@dataclass(slots=True)
class Layout:
    """All of it."""

    is_in_pod: bool = False
    """Today's design: nodes have no tunnels, and ztunnel's sockets are in the pods."""
    asked: Collection[str] = ()
    """The pods that have to do with the request."""

    boxes: list[Box] = field(default_factory=list)
    chips: dict[str, Chip] = field(default_factory=dict)
    height: float = _MARGIN


Wanted = tuple[str, str, str]
"""A chip before it has a place: key, text, kind."""


def lay_out(topology: Mapping[str, Any]) -> Layout:
    """The picture of a topology, as the run's JSON has it."""
    request = topology.get("request") or {}
    layout = Layout(topology["design"] == Design.IN_POD.value, request.get("pods", ()))
    for node in topology["nodes"]:
        pods = [pod for pod in topology["pods"] if pod["node"] == node["name"]]
        before = set(layout.chips)
        _node(layout, node, pods)
        for key in layout.chips.keys() - before:
            layout.chips[key] = replace(layout.chips[key], node=node["name"])
        layout.height += _BETWEEN_NODES
    layout.height += _MARGIN - _BETWEEN_NODES
    return layout


def _node(layout: Layout, node: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> None:
    top, x, width = layout.height, _MARGIN + _PADDING, _NODES_WIDTH - _MARGIN - 2 * _PADDING
    y = top + _TITLE + 4
    if not pods:
        layout.boxes.append(_node_box(node, "no pods", top, _TITLE + _PADDING))
        layout.height = top + _TITLE + _PADDING
        return
    place = len(layout.boxes)
    for begin in range(0, len(pods), _PODS_PER_ROW):
        row = pods[begin : begin + _PODS_PER_ROW]
        each = (width - _GAP * (len(row) - 1)) / len(row)
        bottoms = [_pod(layout, node, pod, x + index * (each + _GAP), y, each) for index, pod in enumerate(row)]
        y = max(bottoms) + _GAP
    y = _chips(layout, _own_chips(layout, node["name"], pods), x, y, width) + _GAP
    own = _ztunnel_chips(layout, node["ztunnel"], any(pod["kind"] == "ambient" for pod in pods))
    y = _box(layout, ("ztunnel", node["ztunnel"], node["ztunnel_ip"]), own, x, y, width)
    layout.boxes.insert(place, _node_box(node, node["address"], top, y + _PADDING - top))
    layout.height = y + _PADDING


def _node_box(node: Mapping[str, Any], note: str, top: float, height: float) -> Box:
    return Box("node", node["name"], note, _MARGIN, top, _NODES_WIDTH - _MARGIN, height)


def _pod(layout: Layout, node: Mapping[str, Any], pod: Mapping[str, Any], x: float, y: float, width: float) -> float:
    name, kind = pod["name"], pod["kind"]
    has_rules = kind == "sidecar" or (kind == "ambient" and layout.is_in_pod)
    own = [(f"{name} rules", "rules", "rules")] if has_rules else []
    devices = [(f"{name} {device}", device, "device") for device in ("lo", "eth0")]
    chips = [*_pod_processes(layout, node, pod), *own, *devices]
    return _box(layout, (kind, name, pod["ip"]), chips, x, y, width)


def _pod_processes(layout: Layout, node: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[Wanted]:
    name, kind = pod["name"], pod["kind"]
    if kind != "waypoint":
        yield f"app-{name}", "app", "process"
    if kind in ("sidecar", "waypoint"):
        yield f"{kind}-{name}", "envoy" if pod.get("is_envoy") else kind, "process"
    if kind == "ambient" and layout.is_in_pod:  # whose log lines are of the pod that the request is about
        yield node["ztunnel"] if name in layout.asked else f"{node['ztunnel']} {name}", "ztunnel's sockets", "process"


def _own_chips(layout: Layout, node: str, pods: Iterable[Mapping[str, Any]]) -> list[Wanted]:
    tunnels = () if layout.is_in_pod else ("istioout", "istioin")
    devices = [*(f"v-{pod['name']}" for pod in pods), *tunnels, "v-zt", "eth0"]
    return [(f"{node} rules", "rules", "rules"), *((f"{node} {device}", device, "device") for device in devices)]


def _ztunnel_chips(layout: Layout, name: str, runs: bool) -> list[Wanted]:
    """Its process runs where the node has ambient pods; in today's design all that it hears and says is in those."""
    if layout.is_in_pod:
        process = [(f"{name} process", "ztunnel", "process")] if runs else []
        return [(f"{name} eth0", "eth0", "device"), *process]
    devices = [(f"{name} {device}", device, "device") for device in ("pistioout", "pistioin", "eth0")]
    return [*devices, (f"{name} rules", "rules", "rules"), *([(name, "ztunnel", "process")] if runs else [])]


def _box(layout: Layout, what: tuple[str, str, str], chips: list[Wanted], x: float, y: float, width: float) -> float:
    """A pod with its chips; where it ends."""
    place = len(layout.boxes)
    bottom = _chips(layout, chips, x + _PADDING, y + 2 * _TITLE + 2, width - 2 * _PADDING) + _PADDING
    kind, name, note = what
    layout.boxes.insert(place, Box(kind, name, note, x, y, width, bottom - y))
    return bottom


def _chips(layout: Layout, wanted: Iterable[Wanted], x: float, y: float, width: float) -> float:
    """Chips from left to right, in as many rows as they need; where they end."""
    at = x
    for key, text, kind in wanted:
        size = len(text) * _LETTER + _CHIP_PADDING
        if at > x and at + size > x + width:
            at, y = x, y + _CHIP_HEIGHT + _CHIP_GAP
        layout.chips[key] = Chip(key, text, kind, at, y, size)
        at += size + _CHIP_GAP
    return y + _CHIP_HEIGHT
