"""What kube-proxy does on a node: virtual addresses become pods' (redirection d.4) [pure].

Its counters tell whether anybody got by ztunnel: of a captured connection it must see nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.redirect.base import Redirection, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.topology import Service, Topology


def service_redirection(topology: Topology, namespace: str) -> Redirection:
    """The rules of all services in one namespace."""
    return Redirection(
        namespace, rules=tuple(rule for service in topology.services for rule in _rules(topology, service))
    )


def _rules(topology: Topology, service: Service) -> Iterator[Rule]:
    """One rule a pod; each takes its share of what those before it have left."""
    count = len(service.pods)
    for index, name in enumerate(service.pods):
        share = "" if index == count - 1 else f" -m statistic --mode random --probability {1 / (count - index):.8f}"
        match = f"-d {service.vip}/32 -p tcp -m tcp --dport {service.port}{share}"
        target = f"DNAT --to-destination {topology.pod(name).ip}:{service.target_port}"
        yield Rule(f"K-{service.name}-{name}", "nat", "PREROUTING", match, target)
