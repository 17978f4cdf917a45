"""The ports on which a workload serves a service: names resolved, the rest as the service says [pure].

A named target port of a Kubernetes Service is looked up in the workload, and left out where the workload has no such
port. A ServiceEntry has no named targets: there the names of its own ports may name a port of the workload, which then
counts instead of the number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from istiod_py.ambient.services import ServiceFacts, ServicePort
    from mesh_py.model.workload import Ports


def of_pod(facts: ServiceFacts, port_named: Callable[[str], int | None]) -> Ports:
    """Service port to the pod's port; `port_named` knows the names of the pod's ports."""
    if facts.is_kubernetes:
        return _resolved(facts, lambda port: port_named(port.target) if isinstance(port.target, str) else port.target)
    return _resolved(facts, lambda port: (port.name and port_named(port.name)) or port.target)


def of_entry(facts: ServiceFacts, ports: Mapping[str, int]) -> Ports:
    """Service port to the port of a WorkloadEntry or of an endpoint, which names ports as the service does."""

    def target(port: ServicePort) -> int | str | None:
        if isinstance(port.target, str):
            return ports.get(port.target)
        return ports.get(port.name, port.target)

    return _resolved(facts, target)


def _resolved(facts: ServiceFacts, target: Callable[[ServicePort], int | str | None]) -> Ports:
    found = ((port.number, target(port)) for port in facts.ports)
    return {number: port for number, port in found if isinstance(port, int)}
