"""The mesh of a run, in the real ztunnel's own file form: one workload on each of two nodes."""

from __future__ import annotations

from benchmarks.certificates import CLIENT, NAMESPACE, SERVER, TRUST_DOMAIN


def mesh_file(client_ip: str, server_ip: str) -> str:
    """YAML for LOCAL_XDS_PATH (hbone-controlplane 5)."""
    return "workloads:\n" + workload(CLIENT, client_ip, "node-a") + workload(SERVER, server_ip, "node-b")


def workload(account: str, address: str, node: str, *, services: str = "{}", way: str = "protocol: HBONE") -> str:
    """One entry of the list. `way` is how it takes traffic of the mesh, `services` what it serves, as YAML."""
    return f"""\
- uid: bench//Pod/{NAMESPACE}/{account}
  name: {account}
  namespace: {NAMESPACE}
  serviceAccount: {account}
  trustDomain: {TRUST_DOMAIN}
  workloadIps: ["{address}"]
  {way}
  node: {node}
  network: ""
  services: {services}
"""
