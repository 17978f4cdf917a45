"""The ztunnel pod of Istio 1.18's ambient: from the tunnels to the listeners (redirection a.4, a.5) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.redirect.base import Redirection, Rule, Step
from lab_py.redirect.names import (
    HBONE_PORT,
    IN_IP,
    ORIGINAL_SOURCE,
    OUT_IP,
    OUTBOUND_PORT,
    PLAINTEXT_PORT,
    POD_IN,
    POD_OUT,
    TPROXY,
)

if TYPE_CHECKING:
    from lab_py.topology import Node


def ztunnel_redirection(node: Node) -> Redirection:
    """What stands in the pod's namespace, once the tunnels' devices are there."""
    devices = ("all", "default", "eth0", POD_IN, POD_OUT)
    return Redirection(
        node.ztunnel,
        {f"net.ipv4.conf.{device}.rp_filter": "0" for device in devices},
        _steps(node),
        rules=_rules(node),
    )


def _steps(node: Node) -> tuple[Step, ...]:
    """Tables 101 and 102 are filled, and no rule leads to them: replies leave by the main table."""
    return (
        Step("rule-20000", f"rule add priority 20000 fwmark {TPROXY} lookup 100"),
        Step("rule-20003", f"rule add priority 20003 fwmark {ORIGINAL_SOURCE} lookup 100"),
        Step("pod-table-100", "route add local 0.0.0.0/0 dev lo table 100"),
        Step("pod-table-101-host", f"route add table 101 {node.host_ip} dev eth0 scope link"),
        Step("pod-table-101", f"route add table 101 0.0.0.0/0 via {OUT_IP} dev {POD_OUT}"),
        Step("pod-table-102-host", f"route add table 102 {node.host_ip} dev eth0 scope link"),
        Step("pod-table-102", f"route add table 102 0.0.0.0/0 via {IN_IP} dev {POD_IN}"),
    )


def _rules(node: Node) -> tuple[Rule, ...]:
    return (
        _tproxy("Z1", f"-p tcp -i {POD_IN} -m tcp --dport {HBONE_PORT}", HBONE_PORT),
        _tproxy("Z2", f"-p tcp -i {POD_OUT}", OUTBOUND_PORT),
        _tproxy("Z3", f"-p tcp -i {POD_IN}", PLAINTEXT_PORT),
        Rule(
            "Z4",
            "mangle",
            "PREROUTING",
            f"-p tcp -i eth0 ! -d {node.ztunnel_ip}/32",
            f"MARK --set-mark {ORIGINAL_SOURCE}",
        ),
    )


def _tproxy(name: str, match: str, port: int) -> Rule:
    target = f"TPROXY --tproxy-mark {TPROXY} --on-port {port} --on-ip 127.0.0.1"
    return Rule(name, "mangle", "PREROUTING", match, target)
