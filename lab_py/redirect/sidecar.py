"""A pod with a sidecar: everything out to 15001, everything in to 15006, the sidecar itself excepted (redirection b)
[pure]."""

from __future__ import annotations

from lab_py.redirect.base import Redirection, Rule
from lab_py.redirect.names import HBONE_PORT, OUTBOUND_PORT, PLAINTEXT_PORT, PROXY_ID, PROXY_MARK
from lab_py.topology import CONTROL_PLANE_IP

NOT_CAPTURED = (15090, 15021, 15020)
"""Inbound ports of the sidecar's own: statistics, readiness, the application's metrics."""

IN, IN_REDIRECT, OUT, OUT_REDIRECT = "ISTIO_INBOUND", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT", "ISTIO_REDIRECT"


def sidecar_redirection(namespace: str, *, by_uid: bool = True) -> Redirection:
    """What the injected init container puts into a pod.

    Args:
        by_uid: the sidecar is known by its uid and gid; else by the mark of its sockets, where no such uid is
            mapped (redirection d.7).
    """
    return Redirection(namespace, rules=(*_inbound(), *_outbound(by_uid=by_uid)))


def _inbound() -> list[Rule]:
    excepted = [
        Rule(f"B-{port}", "nat", IN, f"-p tcp --dport {port}", "RETURN") for port in (HBONE_PORT, *NOT_CAPTURED)
    ]
    return [
        Rule("B-PREROUTING", "nat", "PREROUTING", "-p tcp", IN),
        *excepted,
        Rule("B-INBOUND", "nat", IN, "-p tcp", IN_REDIRECT),
        Rule("B-IN-REDIRECT", "nat", IN_REDIRECT, "-p tcp", f"REDIRECT --to-ports {PLAINTEXT_PORT}"),
        Rule("B-REDIRECT", "nat", OUT_REDIRECT, "-p tcp", f"REDIRECT --to-ports {OUTBOUND_PORT}"),
    ]


def _outbound(*, by_uid: bool) -> list[Rule]:
    """The numbers are those of the reference's table; rules 6 to 8 are 3 to 5 for the gid."""
    owners = [(3, "-m owner", f"--uid-owner {PROXY_ID}"), (6, "-m owner", f"--gid-owner {PROXY_ID}")]
    own = [rule for first, match, value in owners for rule in _own(first, match, value)]
    if not by_uid:  # its connections to the control plane have no mark: an excluded address, as Istio has them, too
        control = Rule("B-CONTROL", "nat", OUT, f"-d {CONTROL_PLANE_IP}/32", "RETURN")
        own = [*_own(3, "-m mark", f"--mark {PROXY_MARK}"), control]
    return [
        Rule("B-OUTPUT", "nat", "OUTPUT", "-p tcp", OUT),
        Rule("B2", "nat", OUT, "-o lo -s 127.0.0.6/32", "RETURN"),
        *own,
        Rule("B9", "nat", OUT, "-d 127.0.0.1/32", "RETURN"),
        Rule("B10", "nat", OUT, "", OUT_REDIRECT),
    ]


def _own(first: int, match: str, value: str) -> list[Rule]:
    """The sidecar to its own pod comes in again, the application to itself is left alone, the sidecar's rest is too."""
    to_pod = f"-o lo ! -d 127.0.0.1/32 -p tcp ! --dport {HBONE_PORT} {match} {value}"
    return [
        Rule(f"B{first}", "nat", OUT, to_pod, IN_REDIRECT),
        Rule(f"B{first + 1}", "nat", OUT, f"-o lo {match} ! {value}", "RETURN"),
        Rule(f"B{first + 2}", "nat", OUT, f"{match} {value}", "RETURN"),
    ]
