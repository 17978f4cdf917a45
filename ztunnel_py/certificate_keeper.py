"""Whose certificates this proxy has: ahead for the workloads it serves, none for those that are gone.

hbone-controlplane 3.3: fetched ahead are those of our own node's workloads that speak HBONE, while the node is named;
forgotten is an identity with its last workload here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.model.workload import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.identity import SpiffeId
    from mesh_py.discovery.state import MeshState
    from mesh_py.identity.certificates import Certificates
    from mesh_py.model.workload import Workload

PAUSE_SECONDS = 0.25
"""After a look at all workloads; changes meanwhile share the next one."""


class Wanted(NamedTuple):
    """Identities of this proxy's workloads."""

    ahead: frozenset[SpiffeId]
    """Those to have before anybody asks."""
    known: frozenset[SpiffeId]
    """All of them."""


def wanted_of_node(state: MeshState) -> Wanted:
    """What a node's proxy wants. Without a node's name every workload counts as ours, and none is fetched ahead."""
    ours = [workload for workload in state.workloads if state.is_local(workload)]
    ahead = () if state.node is None else (one.identity for one in ours if _speaks_hbone(one))
    return Wanted(frozenset(ahead), frozenset(one.identity for one in ours))


def wanted_of_one(workload: Workload | None) -> Wanted:
    """What a dedicated proxy wants."""
    own = frozenset() if workload is None else frozenset({workload.identity})
    return Wanted(own, own)


async def keep_certificates(state: MeshState, certificates: Certificates, wanted: Callable[[], Wanted]) -> None:
    """Tell the certificates what is `wanted` after every change of the mesh, until cancelled."""
    changed = asyncio.Event()
    unwatch = state.watch(changed.set)
    try:
        while True:
            changed.clear()
            _tell(certificates, wanted())
            await asyncio.sleep(PAUSE_SECONDS)
            await changed.wait()
    finally:
        unwatch()


def _tell(certificates: Certificates, wanted: Wanted) -> None:
    certificates.keep_only(wanted.known)
    for identity in sorted(wanted.ahead, key=str):
        certificates.prefetch(identity)


def _speaks_hbone(workload: Workload) -> bool:
    return workload.protocol is Protocol.HBONE or workload.native_tunnel
