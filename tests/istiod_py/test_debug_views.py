"""What the debug pages show."""

from __future__ import annotations

import pytest

from istiod_py import debug_views
from istiod_py.clients import Client, Clients
from istiod_py.node import read_node
from istiod_py.subscription import DeltaRequest, DeltaSubscription
from mesh_py.identity.tokens import Caller
from mesh_py.xds.types import ADDRESS, CLUSTER
from tests.support.control_worlds import pod, service, world_of
from tests.support.discovery import SIDECAR_ID

WORLD = world_of(pod("cart-1", "10.0.0.1"), service("cart", "10.96.0.1"))


@pytest.fixture
def client() -> Client:
    node = read_node(SIDECAR_ID, {"CLUSTER_ID": "east", "ISTIO_VERSION": "1.31"})
    return Clients().join(node, Caller("shop", "cart"), "127.0.0.1:9", "delta", 0.0)


def subscribed(client: Client, type_url: str, *names: str) -> DeltaSubscription:
    subscription = client.subscriptions[type_url] = DeltaSubscription()
    subscription.receive(DeltaRequest(names))
    return subscription


def test_states_of_a_subscription(client: Client) -> None:
    subscription = subscribed(client, CLUSTER)

    def shown() -> tuple[str, str, str]:
        [one] = debug_views.syncz([client])
        return one["types"]["cds"]["state"], one["cluster_sent"], one["cluster_acked"]

    assert shown() == ("NOT SENT", "", "")
    nonce = subscription.nonces.next()
    assert shown() == ("STALE", "1", "")
    subscription.receive(DeltaRequest(nonce=nonce))
    assert shown() == ("SYNCED", "1", "1")
    subscription.receive(DeltaRequest(nonce=subscription.nonces.next(), refusal="cart: no"))
    assert shown() == ("REJECTED", "2", "1")
    [one] = debug_views.syncz([client])
    assert one["types"]["cds"]["reason"] == "cart: no"
    assert (one["proxy"], one["proxy_type"], one["cluster_id"]) == ("cart-1.shop", "sidecar", "east")


def test_who_is_connected_and_watches_what(client: Client) -> None:
    subscribed(client, ADDRESS)
    subscribed(client, CLUSTER, "b", "a")
    shown = debug_views.adsz([client])
    assert shown["totalClients"] == 1
    [one] = shown["clients"]
    assert one["connectionId"] == "cart-1.shop-1"
    assert one["connectedAt"] == "1970-01-01T00:00:00Z"
    assert one["identity"] == "shop/cart"
    assert one["watches"] == {ADDRESS: ["*"], CLUSTER: ["a", "b"]}


def test_the_mesh_in_the_shape_of_a_config_dump() -> None:
    shown = debug_views.ambientz(WORLD.mesh)
    assert shown["workloads"][0]["workloadIps"] == ["10.0.0.1"]
    assert shown["services"][0]["vips"] == ["/10.96.0.1"]
    assert list(shown["services"][0]["endpoints"]) == ["Kubernetes//Pod/shop/cart-1"]
    assert shown["policies"] == []


def test_every_manifest_has_its_place() -> None:
    shown = {(one["kind"], one["namespace"], one["name"]): one for one in debug_views.configz(WORLD.manifests)}
    assert set(shown) == {("Pod", "shop", "cart-1"), ("Service", "shop", "cart")}
    assert shown[("Pod", "shop", "cart-1")]["labels"] == {"app": "cart"}
    assert shown[("Pod", "shop", "cart-1")]["place"].startswith("mesh.yaml:")


def test_what_one_proxy_may_see(client: Client) -> None:
    shown = debug_views.resources(client, {ADDRESS: WORLD.addresses})
    assert set(shown["resources"][ADDRESS]) == set(WORLD.addresses.resources)
