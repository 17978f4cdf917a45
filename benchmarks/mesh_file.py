"""The mesh of a run, in the real ztunnel's own file form: one workload on each of two nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, NAMESPACE, SERVER, TRUST_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Sequence


def mesh_file(client_ip: str, server_ip: str, pods: Sequence[str] = ()) -> str:
    """YAML for LOCAL_XDS_PATH (hbone-controlplane 5); `pods` are more addresses of the server."""
    ends = workload(CLIENT, client_ip, "node-a") + workload(SERVER, server_ip, "node-b")
    return "workloads:\n" + ends + "".join(workload(SERVER, pod, "node-b", name=f"pod-{pod}") for pod in pods)


def workload(
    account: str, address: str, node: str, *, services: str = "{}", way: str = "protocol: HBONE", name: str = ""
) -> str:
    """One entry of the list. `way` is how it takes traffic of the mesh, `services` what it serves, as YAML."""
    return f"""\
- uid: bench//Pod/{NAMESPACE}/{name or account}
  name: {name or account}
  namespace: {NAMESPACE}
  serviceAccount: {account}
  trustDomain: {TRUST_DOMAIN}
  workloadIps: ["{address}"]
  {way}
  node: {node}
  network: ""
  services: {services}
"""
