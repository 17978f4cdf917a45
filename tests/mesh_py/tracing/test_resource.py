"""Who records, as collectors are told."""

from __future__ import annotations

from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.tracing.resource import of_node, of_proxy
from tests.support import world

INFO = WorkloadInfo("shop", "cart-7", "cart")


def test_a_workload_that_discovery_knows() -> None:
    known = world.workload(
        "cart-7", "10.0.0.1", namespace="shop", canonical_name="cart", canonical_revision="v2", cluster_id="c1"
    )
    found = of_proxy(INFO, known)
    assert found["service.name"] == "cart.shop"
    assert found["istio.canonical_revision"] == "v2"
    assert (found["k8s.pod.name"], found["istio.cluster_id"]) == ("cart-7", "c1")


def test_one_that_it_does_not_know_yet() -> None:
    found = of_proxy(INFO, None)
    assert found["service.name"] == "cart-7.shop"
    assert "istio.cluster_id" not in found


def test_a_node_proxy() -> None:
    assert of_node("node-a", "c1") == {
        "service.name": "ztunnel",
        "service.instance.id": "node-a",
        "k8s.node.name": "node-a",
        "istio.cluster_id": "c1",
    }
    assert of_node("", "") == {"service.name": "ztunnel"}
