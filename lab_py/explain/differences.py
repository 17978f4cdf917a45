"""Where a namespace is not as its design says: what is missing, what is there that nobody planned [pure]."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_py.evidence.counters import read_counters
from lab_py.explain.meanings import meaning_of
from lab_py.fabric import MTU, links, port_of
from lab_py.redirect.names import IN, OUT, POD_IN, POD_OUT, TUNNEL_MTU, ZTUNNEL_DEVICE
from lab_py.redirect.plan import redirections
from lab_py.topology import FABRIC, Design

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab_py.explain.survey import Ground
    from lab_py.redirect.base import Redirection, Step
    from lab_py.topology import Topology

_UNNAMED = re.compile(r"^\[\d+:\d+\] -A (?!.*--comment)(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as designed."""

    culprit: str
    """`NAMESPACE/PIECE`."""
    namespace: str
    why: str
    """What follows from it."""
    found: str
    """Where one sees it."""
    remedy: str

    @property
    def piece(self) -> str:
        """The culprit without its namespace."""
        return self.culprit.partition("/")[2]


def differences(topology: Topology, grounds: Mapping[str, Ground], *, by_uid: bool) -> list[Difference]:
    """All of them, in the order in which a lab is built: devices, settings, routes, sets, rules."""
    plans = {one.namespace: one for one in redirections(topology, by_uid=by_uid)}
    fabric = dict(links(topology))
    found: list[Difference] = []
    for namespace, ground in grounds.items():
        found += _devices(namespace, ground, _planned_devices(topology, namespace))
        found += _links(namespace, ground, fabric.get(namespace, []))
        plan = plans.get(namespace)
        if plan is not None:
            found += _settings(plan, ground)
            found += _steps(plan, ground)
            found += _sets(plan, ground)
            found += _rules(plan, ground)
        found += _strangers(namespace, ground)
    return found


def _planned_devices(topology: Topology, namespace: str) -> dict[str, int]:
    """By name: the largest packet they take."""
    if namespace == FABRIC:
        return {port_of(node.name): MTU for node in topology.nodes}
    tunnels: dict[str, int] = {}
    for node in topology.nodes:
        if topology.design is Design.TUNNELS and namespace in (node.name, node.ztunnel):
            tunnels = dict.fromkeys((IN, OUT) if namespace == node.name else (POD_IN, POD_OUT), TUNNEL_MTU)
        if namespace == node.name:
            pods = [pod.device for pod in topology.pods_on(node)]
            return dict.fromkeys(["eth0", ZTUNNEL_DEVICE, *pods], MTU) | tunnels
    return {"eth0": MTU} | tunnels


def _devices(namespace: str, ground: Ground, planned: Mapping[str, int]) -> Iterator[Difference]:
    for name, mtu in planned.items():
        there = ground.devices.get(name)
        where = f"{namespace}/{name}"
        if there is None:
            yield Difference(where, namespace, f"there is no device {name}", f"ip link in {namespace}", "down, and up")
        elif not there.is_up:
            why = f"{name} is down, and the kernel has taken the routes through it away"
            yield Difference(
                where, namespace, why, f"ip link in {namespace}: {name} is not UP", f"ip link set {name} up"
            )
        elif there.mtu < mtu:
            why = (
                f"{name} takes {there.mtu} bytes where both ends believe in {mtu}: what is larger is dropped in silence"
            )
            found = f"ip link in {namespace}: {name} mtu {there.mtu}"
            yield Difference(f"{where}.mtu", namespace, why, found, f"ip link set {name} mtu {mtu}")


def _settings(plan: Redirection, ground: Ground) -> Iterator[Difference]:
    """Reverse path checks count wherever they are: the kernel takes the larger of a device's own and `all`."""
    planned = dict(plan.sysctls)
    for name in ground.settings:
        if name.endswith(".rp_filter"):
            planned.setdefault(name, "0")
    for name, wanted in planned.items():
        value = ground.settings.get(name, wanted)
        if value != wanted:
            short = name.removeprefix("net.ipv4.").removeprefix("conf.")
            why = f"{short} is {value}: {meaning_of(short.rpartition('.')[2])}"
            found = f"sysctl in {plan.namespace}: {name} = {value}"
            yield Difference(f"{plan.namespace}/{short}", plan.namespace, why, found, f"sysctl -w {name}={wanted}")


def _links(namespace: str, ground: Ground, lines: list[str]) -> Iterator[Difference]:
    there = {_route(line)[:-1] for line in ground.routes.splitlines()}  # a gateway's device is the kernel's to find
    for line in lines:
        if line.startswith("route add ") and _route(line.removeprefix("route add "))[:-1] not in there:
            target = line.split()[2]
            why = f"there is no route to {target}"
            found = f"ip route in {namespace}: nothing for {target}"
            yield Difference(f"{namespace}/route {target}", namespace, why, found, f"ip {line}")


def _steps(plan: Redirection, ground: Ground) -> Iterator[Difference]:
    routes = set(map(_route, ground.routes.splitlines()))
    rules = set(map(_policy_rule, ground.policy_rules.splitlines()))
    downed = {name for name, device in ground.devices.items() if not device.is_up}
    for step in plan.steps:
        if _is_route(step):
            line = step.line.removeprefix("route add ")
            is_there = _route(line) in routes or _route(line)[-1] in downed  # then the device is what is wrong
        else:
            words = step.line.split()
            is_there = f"{words[3]} {' '.join(words[4:])}" in rules
        if not is_there:
            command = "ip route show table all" if _is_route(step) else "ip rule"
            found = f"{command} in {plan.namespace}: no `{step.line.partition(' add ')[2]}`"
            why = f"{step.name} is not there: {meaning_of(step.name)}"
            yield Difference(f"{plan.namespace}/{step.name}", plan.namespace, why, found, f"ip {step.line}")


def _is_route(step: Step) -> bool:
    return step.line.startswith("route ")


def _policy_rule(line: str) -> str:
    priority, _, rest = line.partition(":")
    return f"{priority} {rest.strip().removeprefix('from all ')}"


def _route(line: str) -> tuple[str, ...]:
    """What makes two spellings of a route the same: table, type, destination, gateway, device."""
    words = line.split()
    named = {word: words[index + 1] for index, word in enumerate(words[:-1]) if word in ("table", "via", "dev")}
    skip = {index for index, word in enumerate(words) if word in named} | {
        index + 1 for index, word in enumerate(words) if word in named
    }
    free = [word for index, word in enumerate(words) if index not in skip]
    kind = free.pop(0) if free and free[0] in ("local", "broadcast", "unreachable", "blackhole") else ""
    target = free[0].removesuffix("/32") if free else ""
    target = "default" if target == "0.0.0.0/0" else target
    return named.get("table", "main"), kind, target, named.get("via", ""), named.get("dev", "")


def _sets(plan: Redirection, ground: Ground) -> Iterator[Difference]:
    for one in plan.sets:
        for address, pod in one.members.items():
            if f"add {one.name} {address} " not in f"{ground.sets} ":
                why = f"{pod} ({address}) is not in the set {one.name}: rules that match by it leave it alone"
                found = f"ipset list in {plan.namespace}: no {address}"
                remedy = f"ipset add {one.name} {address} comment {pod}"
                yield Difference(f"{plan.namespace}/{one.name}", plan.namespace, why, found, remedy)


def _rules(plan: Redirection, ground: Ground) -> Iterator[Difference]:
    there = read_counters(ground.rules)
    for rule in plan.rules:
        if rule.name not in there:
            why = f"{rule.name} is not there: {meaning_of(rule.name)}"
            found = f"iptables-save in {plan.namespace}: no rule {rule.name} in {rule.table} {rule.chain}"
            remedy = f"iptables -t {rule.table} -I {rule.chain} {rule.text}, in its place"
            yield Difference(f"{plan.namespace}/{rule.name}", plan.namespace, why, found, remedy)


def _strangers(namespace: str, ground: Ground) -> Iterator[Difference]:
    for rule in _UNNAMED.findall(ground.rules):
        why = f"a rule that belongs to no design: -A {rule}"
        found = f"iptables-save in {namespace}: -A {rule}"
        yield Difference(f"{namespace}/-A {rule}", namespace, why, found, f"iptables -D {rule}, in its table")
