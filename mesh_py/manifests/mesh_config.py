"""What holds for a mesh as a whole: the names of Istio's MeshConfig, as far as they concern us [pure]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """Names that every object of the mesh is read with."""

    trust_domain: str = "cluster.local"
    """Of the mesh's identities: `spiffe://<trust domain>/ns/<namespace>/sa/<account>`."""
    root_namespace: str = "istio-system"
    """Policies without a selector in this namespace are for the whole mesh."""
    cluster_domain: str = "cluster.local"
    """Suffix of service names: `<service>.<namespace>.svc.<domain>`."""
    cluster_id: str = "Kubernetes"
    """Leads the uid of every workload."""
    network: str = ""
    """Of workloads that name none; empty is the default network."""

    def hostname(self, service: str, namespace: str) -> str:
        """The full name of a Service."""
        return f"{service}.{namespace}.svc.{self.cluster_domain}"
