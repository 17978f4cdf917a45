"""A topology as the proxies read it: their own reader is the judge."""

from __future__ import annotations

from lab_py.builtin import load
from lab_py.mesh_file import hosts_text, identity_of, mesh_text
from mesh_py.discovery.local_file import read_local_config
from mesh_py.model.workload import Protocol


def test_every_pod_is_a_workload_of_its_kind() -> None:
    config = read_local_config(mesh_text(load("ambient-to-sidecar")), "mesh.yaml")
    found = {one.name: (one.protocol, one.mutual_tls, one.node, one.workload_ips) for one in config.workloads}
    assert found == {
        "sleep": (Protocol.HBONE, False, "node-a", ("10.244.1.10",)),
        "httpbin": (Protocol.TCP, True, "node-b", ("10.244.2.20",)),
    }
    assert config.warnings == ()


def test_a_service_leads_to_its_pods() -> None:
    config = read_local_config(mesh_text(load("ambient-to-sidecar")), "mesh.yaml")
    [service] = config.services
    assert service.hostname == "httpbin.default.svc.cluster.local"
    assert [str(vip) for vip in service.vips] == ["/10.96.0.10"]
    [httpbin] = [one for one in config.workloads if one.name == "httpbin"]
    assert httpbin.services == {service.key: {8000: 8000}}


def test_a_waypoint_stands_before_its_pod() -> None:
    config = read_local_config(mesh_text(load("sidecar-to-waypoint")), "mesh.yaml")
    gateways = {one.name: one.waypoint for one in config.workloads}
    assert gateways["sleep"] is None
    gateway = gateways["helloworld"]
    assert gateway is not None
    assert gateway.hbone_mtls_port == 15008


def test_identities_and_names() -> None:
    topology = load("ambient-to-sidecar")
    assert str(identity_of(topology.pod("sleep"))) == "spiffe://cluster.local/ns/default/sa/sleep"
    assert hosts_text(topology).splitlines()[1] == (
        "10.96.0.10 httpbin httpbin.default httpbin.default.svc.cluster.local"
    )
