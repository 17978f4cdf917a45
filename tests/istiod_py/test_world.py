"""States of the mesh as they are served: names, aliases, what an edit costs, who runs where."""

from __future__ import annotations

from istiod_py.world import World
from mesh_py.xds.decode import decode_address, decode_authorization
from mesh_py.xds.proto.workload_pb2 import Workload as WorkloadMessage
from mesh_py.xds.types import ADDRESS, AUTHORIZATION, CLUSTER, WORKLOAD
from tests.support.control_worlds import pod, service, world_of

CART, PAY = pod("cart-1", "10.0.0.1"), pod("pay-1", "10.0.0.2", app="pay", node="node-b")
SERVICE = service("cart", "10.96.0.1")
POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-cart, namespace: shop}
spec: {rules: [{from: [{source: {namespaces: [shop]}}]}]}
---
"""
CART_NAME, PAY_NAME = "Kubernetes//Pod/shop/cart-1", "Kubernetes//Pod/shop/pay-1"
SERVICE_NAME = "shop/cart.shop.svc.cluster.local"


def test_resources_are_named_as_istiod_names_them() -> None:
    world = world_of(CART, PAY, SERVICE, POLICY)
    assert set(world.addresses.resources) == {CART_NAME, PAY_NAME, SERVICE_NAME}
    assert set(world.authorizations.resources) == {"shop/only-cart"}


def test_what_is_served_reads_back_as_what_was_meant() -> None:
    world = world_of(CART, SERVICE, POLICY)
    for name, workload in world.mesh.workloads.items():
        assert decode_address(world.addresses.resources[name].body) == workload
    for name, policy in world.mesh.policies.items():
        assert decode_authorization(world.authorizations.resources[name].body) == policy


def test_workloads_and_services_are_found_by_address_node_and_service() -> None:
    world = world_of(CART, PAY, SERVICE)
    assert [one.name for one in world.addresses.find("/10.0.0.1")] == [CART_NAME]
    assert [one.name for one in world.addresses.find("/10.96.0.1")] == [SERVICE_NAME]
    assert [one.name for one in world.addresses.on_node("node-b")] == [PAY_NAME]
    assert [one.name for one in world.addresses.behind(SERVICE_NAME)] == [CART_NAME]


def test_nobody_is_found_by_the_address_of_its_host() -> None:
    world = world_of(CART.replace("containers:", "hostNetwork: true, containers:"))
    [resource] = world.addresses.resources.values()
    assert resource.aliases == ()


def test_an_edit_encodes_what_it_changed_and_nothing_else() -> None:
    first = world_of(CART, PAY, SERVICE, POLICY)
    second = world_of(CART, PAY.replace("10.0.0.2", "10.0.0.3"), SERVICE, POLICY, after=first)
    assert second.addresses.changes_since(first.addresses) == {PAY_NAME}
    assert second.addresses.resources[CART_NAME] is first.addresses.resources[CART_NAME]
    assert second.authorizations is first.authorizations
    assert second.number == first.number + 1


def test_a_state_that_says_the_same_is_the_same_collection() -> None:
    first = world_of(CART, SERVICE)
    assert world_of(SERVICE, CART, after=first).addresses is first.addresses


def test_versions_survive_a_restart() -> None:
    assert world_of(CART).addresses.version == world_of(CART).addresses.version


def test_types_that_all_see_alike() -> None:
    world = world_of(CART, SERVICE)
    assert world.shared(ADDRESS) is world.addresses
    assert world.shared(AUTHORIZATION) is world.authorizations
    assert world.shared(CLUSTER) is None
    bare = world.shared(WORKLOAD)
    assert bare is not None
    assert WorkloadMessage.FromString(bare.resources[CART_NAME].body).name == "cart-1"


def test_who_runs_where() -> None:
    world = world_of(CART, PAY)
    assert world.runs_on("Kubernetes", "node-a", "shop", "cart")
    assert not world.runs_on("Kubernetes", "node-b", "shop", "cart")
    assert not world.runs_on("elsewhere", "node-a", "shop", "cart")
    assert not world.runs_on("Kubernetes", "", "shop", "cart")
    assert not World().runs_on("Kubernetes", "node-a", "shop", "cart")
