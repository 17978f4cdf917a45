"""A workload as its proxy announces it to others (hbone-dataplane 1.4) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.baggage import Baggage

if TYPE_CHECKING:
    from mesh_py.model.workload import Workload


def baggage_of(workload: Workload) -> Baggage:
    """The baggage of a workload."""
    return Baggage(
        cluster=workload.cluster_id,
        namespace=workload.namespace,
        workload=workload.workload_name,
        workload_type=workload.workload_type or "deployment",
        service=workload.canonical_name,
        revision=workload.canonical_revision,
        region=workload.locality.region,
        zone=workload.locality.zone,
    )
