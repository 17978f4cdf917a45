"""A node of Istio 1.18's ambient: marks, chains, policy routes (redirection a.1 to a.6) [pure].

An enrolled pod's connection is marked and routed into the tunnel to ztunnel; what ztunnel sends with a borrowed address
is remembered in conntrack, so that everything after the first packet goes to ztunnel without the tunnel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.redirect.base import AddressSet, Redirection, Rule, Step
from lab_py.redirect.names import (
    CONN_SKIP,
    GENEVE_PORT,
    IN,
    OUT,
    OUTBOUND,
    POD_IN_IP,
    POD_OUT_IP,
    POD_SET,
    PROXY,
    PROXY_RETURN,
    SKIP,
    ZTUNNEL_DEVICE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab_py.topology import Node, Pod

_MANGLE_HOOKS = ("PREROUTING", "POSTROUTING", "INPUT", "OUTPUT", "FORWARD")
_NAT_HOOKS = ("PREROUTING", "POSTROUTING")


def node_redirection(node: Node, enrolled: Iterable[Pod]) -> Redirection:
    """What Istio 1.18's agent puts on a node, once the tunnels' devices are there."""
    pods = tuple(enrolled)
    return Redirection(
        node.name,
        _sysctls(pods),
        (*_routes(node), *(_pod_route(node, pod) for pod in pods), *_policy_rules()),
        (AddressSet(POD_SET, {pod.ip: pod.name for pod in pods}),),
        (*_hooks(), *_remembering(), *_probes(node), *_capturing(node), *_untranslated()),
    )


def _sysctls(pods: Iterable[Pod]) -> dict[str, str]:
    """a.5. A reverse path check would drop what comes from a tunnel or with a borrowed address."""
    devices = ("all", "default", ZTUNNEL_DEVICE, IN, OUT, *(pod.device for pod in pods))
    unchecked = {f"net.ipv4.conf.{device}.rp_filter": "0" for device in devices}
    return unchecked | {f"net.ipv4.conf.{device}.accept_local": "1" for device in (ZTUNNEL_DEVICE, IN, OUT)}


def _routes(node: Node) -> list[Step]:
    """a.3."""
    ztunnel = node.ztunnel_ip
    return [
        Step("table-101-zt", f"route add table 101 {ztunnel} dev {ZTUNNEL_DEVICE} scope link"),
        Step("table-101", f"route add table 101 0.0.0.0/0 via {POD_OUT_IP} dev {OUT}"),
        Step("table-102-zt", f"route add table 102 {ztunnel} dev {ZTUNNEL_DEVICE} scope link"),
        Step("table-102", f"route add table 102 0.0.0.0/0 via {ztunnel} dev {ZTUNNEL_DEVICE} onlink"),
        Step("table-100-zt", f"route add table 100 {ztunnel} dev {ZTUNNEL_DEVICE} scope link"),
    ]


def _pod_route(node: Node, pod: Pod) -> Step:
    line = f"route add table 100 {pod.ip}/32 via {POD_IN_IP} dev {IN} src {node.host_ip}"
    return Step(f"table-100-{pod.name}", line)


def _policy_rules() -> list[Step]:
    return [
        Step("rule-100", f"rule add priority 100 fwmark {SKIP} goto 32766"),
        Step("rule-101", f"rule add priority 101 fwmark {OUTBOUND} lookup 101"),
        Step("rule-102", f"rule add priority 102 fwmark {PROXY_RETURN} lookup 102"),
        Step("rule-103", "rule add priority 103 lookup 100"),
    ]


def _hooks() -> list[Rule]:
    hooked = [("mangle", chain) for chain in _MANGLE_HOOKS] + [("nat", chain) for chain in _NAT_HOOKS]
    return [Rule(f"{table}-{chain}", table, chain, "", f"ztunnel-{chain}", at_head=True) for table, chain in hooked]


def _remembering() -> list[Rule]:
    """F1 to I2: what leaves routing marked is known again by its replies."""
    return [
        Rule(
            f"{chain[0]}{number}",
            "mangle",
            f"ztunnel-{chain}",
            f"-m mark --mark {mark}",
            f"CONNMARK --save-mark --nfmask {mark.partition('/')[2]} --ctmask {mark.partition('/')[2]}",
        )
        for chain in ("FORWARD", "INPUT")
        for number, mark in ((1, CONN_SKIP), (2, PROXY))
    ]


def _probes(node: Node) -> list[Rule]:
    """a.6: the node's own calls go straight to the pods."""
    return [Rule("O1", "mangle", "ztunnel-OUTPUT", f"-s {node.host_ip}/32", "MARK --set-mark 0x220")]


def _capturing(node: Node) -> list[Rule]:
    """a.2, in order."""
    from_ztunnel = f"-i {ZTUNNEL_DEVICE}"
    steps = [
        (f"-i {IN}", _mark(SKIP)),
        (f"-i {IN}", "RETURN"),
        (f"-i {OUT}", _mark(SKIP)),
        (f"-i {OUT}", "RETURN"),
        (f"-p udp -m udp --dport {GENEVE_PORT}", "RETURN"),
        (f"-m connmark --mark {CONN_SKIP}", _mark(SKIP)),
        (f"-m mark --mark {SKIP}", "RETURN"),
        (f"! -i {ZTUNNEL_DEVICE} -m connmark --mark {PROXY}", _mark(PROXY_RETURN)),
        (f"-m mark --mark {PROXY_RETURN}", "RETURN"),
        (f"{from_ztunnel} ! -s {node.ztunnel_ip}/32", _mark(PROXY)),
        (f"-m mark --mark {SKIP}", "RETURN"),
        (from_ztunnel, _mark(CONN_SKIP)),
        ("-p udp", _mark(CONN_SKIP)),
        (f"-m mark --mark {SKIP}", "RETURN"),
        (f"-p tcp -m set --match-set {POD_SET} src", _mark(OUTBOUND)),
    ]
    chain = "ztunnel-PREROUTING"
    return [Rule(f"P{number}", "mangle", chain, match, target) for number, (match, target) in enumerate(steps, start=1)]


def _untranslated() -> list[Rule]:
    """N1 and N2: the virtual address stays what it is until ztunnel has seen it."""
    return [
        Rule(f"N{number}", "nat", f"ztunnel-{chain}", f"-m mark --mark {OUTBOUND}", "ACCEPT")
        for number, chain in enumerate(_NAT_HOOKS, start=1)
    ]


def _mark(mark: str) -> str:
    return f"MARK --set-mark {mark}"
