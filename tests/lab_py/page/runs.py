"""What a run prints, in small: two nodes, two hops, as `run -o json` has them."""

from __future__ import annotations

from typing import Any


def todays() -> dict[str, Any]:
    """The same in today's design: one hop in the place of both."""
    found = run()
    found["topology"]["design"] = "in-pod"
    found["hops"] = [{**found["hops"][0], "title": "today's only hop", "replaces": ["1", "2"]}]
    return found


def run(**changes: Any) -> dict[str, Any]:
    """A run of which the second hop was not observed."""
    nodes = [_node(number) for number in (1, 2)]
    syn = {"ms": 0.1, "text": "10.244.1.10:40000 > 10.96.0.10:80 [S]", "bytes": 60, "hops": ["1"]}
    return {
        "machine": "tunnels by tap",
        "times": {"first_request": 1.5},
        "topology": {
            "title": "sleep calls httpbin",
            "design": "1.18",
            "nodes": nodes,
            "pods": [_pod("sleep", "node-1", "ambient"), _pod("httpbin", "node-2", "sidecar")],
            "request": {"from": "sleep", "to": "httpbin", "pods": ["sleep", "httpbin"]},
        },
        "hops": [
            _hop("1", _finding("packet", "sleep eth0", "the SYN"), _finding("counter", "node-1 P15", "1 (mark)")),
            _hop(
                "2",
                _finding("packet", "node-1 istioin", "*:* > *:*: not one packet"),
                _finding("log", "sidecar-httpbin", "direction=inbound", is_so=False),
            ),
        ],
        "rules": {"node-1 P15": "-t mangle -A ztunnel-PREROUTING -j MARK"},
        "packets": {"sleep eth0": [syn, {**syn, "hops": []}]},
        **changes,
    }


def _node(number: int) -> dict[str, Any]:
    name = f"node-{number}"
    return {"name": name, "address": f"172.18.0.{number}", "ztunnel": f"zt-{name}", "ztunnel_ip": f"10.244.{number}.2"}


def _pod(name: str, node: str, kind: str) -> dict[str, Any]:
    identity = f"spiffe://cluster.local/ns/default/sa/{name}"
    return {"name": name, "node": node, "kind": kind, "ip": "10.244.1.10", "port": None, "identity": identity}


def _hop(number: str, *findings: dict[str, Any]) -> dict[str, Any]:
    title, is_so = f"title of {number}", all(finding["ok"] for finding in findings)
    return {"hop": number, "title": title, "ok": is_so, "replaces": [], "findings": list(findings)}


def _finding(kind: str, where: str, expected: str, *, is_so: bool = True) -> dict[str, Any]:
    observed = "src.identity=spiffe://cluster.local/ns/default/sa/sleep" if kind == "log" else "1"
    return {"kind": kind, "where": where, "expected": expected, "observed": observed, "ok": is_so}
