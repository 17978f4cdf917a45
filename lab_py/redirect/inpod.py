"""A pod of today's ambient (1.24 and later): rules inside the pod, ztunnel's sockets there too, all marked 0x539
(redirection c) [pure]."""

from __future__ import annotations

from lab_py.redirect.base import AddressSet, Redirection, Rule, Step
from lab_py.redirect.names import HBONE_PORT, OUTBOUND_PORT, PLAINTEXT_PORT, PROXY_MARK

PROBE_SOURCE = "169.254.7.127"
"""Whom pods see when the node's health probes call."""
PROBED_SET = "istio-inpod-probes-v4"
IN, OUT = "ISTIO_PRERT", "ISTIO_OUTPUT"
POSTROUTING = "ISTIO_POSTRT"
_ANSWER = "0x111/0xfff"
_NOT_LOCALHOST = "! -d 127.0.0.1/32"


def pod_redirection(namespace: str) -> Redirection:
    """What the CNI agent puts into an enrolled pod. 15008 is not redirected: ztunnel listens there."""
    steps = (
        Step("rule-32764", f"rule add priority 32764 fwmark {_ANSWER} lookup 100"),
        Step("inpod-table-100", "route add local 0.0.0.0/0 dev lo table 100"),
    )
    return Redirection(namespace, steps=steps, rules=(*_mangle(), *_inbound(), *_outbound()))


def host_redirection(namespace: str, pods: dict[str, str]) -> Redirection:
    """What is left on the node: its probes carry an address that pods know. `pods` are names by address."""
    snat = f"-m owner --socket-exists -p tcp -m set --match-set {PROBED_SET} dst"
    rules = (
        Rule("C-POSTROUTING", "nat", "POSTROUTING", "", POSTROUTING),
        Rule("C-PROBE", "nat", POSTROUTING, snat, f"SNAT --to-source {PROBE_SOURCE}"),
    )
    return Redirection(namespace, sets=(AddressSet(PROBED_SET, pods),), rules=rules)


def _mangle() -> list[Rule]:
    """What ztunnel sends to the application with a borrowed address is known again by the application's replies."""
    return [
        Rule("C-MANGLE-PREROUTING", "mangle", "PREROUTING", "", IN),
        Rule("C-MANGLE-OUTPUT", "mangle", "OUTPUT", "", OUT),
        Rule("C1", "mangle", IN, f"-m mark --mark {PROXY_MARK}", f"CONNMARK --set-xmark {_ANSWER}"),
        Rule(
            "C2",
            "mangle",
            OUT,
            f"-m connmark --mark {_ANSWER}",
            "CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
        ),
    ]


def _inbound() -> list[Rule]:
    captured = f"{_NOT_LOCALHOST} -p tcp ! --dport {HBONE_PORT} -m mark ! --mark {PROXY_MARK}"
    return [
        Rule("C-NAT-PREROUTING", "nat", "PREROUTING", "", IN),
        Rule("C3", "nat", IN, f"-s {PROBE_SOURCE}/32 -p tcp", "ACCEPT"),
        Rule("C4", "nat", IN, captured, f"REDIRECT --to-ports {PLAINTEXT_PORT}"),
    ]


def _outbound() -> list[Rule]:
    captured = f"{_NOT_LOCALHOST} -p tcp -m mark ! --mark {PROXY_MARK}"
    return [
        Rule("C-NAT-OUTPUT", "nat", "OUTPUT", "", OUT),
        Rule("C5", "nat", OUT, f"-d {PROBE_SOURCE}/32 -p tcp", "ACCEPT"),
        Rule("C6", "nat", OUT, f"-p tcp -m mark --mark {_ANSWER}", "ACCEPT"),
        Rule("C7", "nat", OUT, f"{_NOT_LOCALHOST} -o lo", "ACCEPT"),
        Rule("C8", "nat", OUT, captured, f"REDIRECT --to-ports {OUTBOUND_PORT}"),
    ]
