"""What is decided about the tunnels of one connection that ask for the same (hbone-dataplane 3.2 to 3.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hbone_py.aio.tcp import SocketAddress
    from mesh_py.discovery.inbound import InboundUpstream
    from mesh_py.model.workload import Workload
    from mesh_py.policy.match import ConnectionFacts as PolicyFacts
    from mesh_py.policy.rbac import PolicySet, Verdict
    from ztunnel_py.kind import Kind


@dataclass(frozen=True, slots=True)
class InboundPlan:
    """What is decided about tunnels of one connection that ask for the same."""

    workload: Workload
    upstream: InboundUpstream
    dial: SocketAddress
    """The application: at the workload's own address, or at the loopback one (3.6)."""
    source_address: str | None
    """Whose address the application shall see; None for ours."""
    preamble: bytes
    """What an application behind a PROXY tunnel hears first; empty for all others."""
    host: str | None
    """The service that the client says it means."""
    kind: Kind
    policy_facts: PolicyFacts
    policies: PolicySet
    verdict: Verdict
    answer: bytes
    """The header block of the 200."""
