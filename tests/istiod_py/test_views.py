"""What each client sees: the same mesh for node proxies, its own for every Envoy, secrets for who has proven itself."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest

from istiod_py.authority import FolderAuthority
from istiod_py.clients import Client, Clients
from istiod_py.envoy import resources
from istiod_py.node import read_node
from istiod_py.secrets import Secrets
from istiod_py.snapshot import NOTHING
from istiod_py.views import Views
from istiod_py.world import World
from mesh_py.identity.tokens import Caller
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.xds.proxy_config import decode_proxy_config
from mesh_py.xds.types import ADDRESS, CLUSTER, ENDPOINTS, LISTENER, PROXY_CONFIG, SECRET
from tests.support.control_worlds import pod, service, world_of
from tests.support.discovery import SIDECAR_ID, ZTUNNEL_ID

if TYPE_CHECKING:
    from pathlib import Path

HOUR = datetime.timedelta(hours=1)
CLUSTER_NAME = "outbound|80||cart.shop.svc.cluster.local"
MESH = (pod("cart-1", "10.0.0.1"), service("cart", "10.96.0.1"))


class Watched:
    """Views of a mesh that the test changes."""

    def __init__(self, folder: Path) -> None:
        now = lambda: datetime.datetime.now(datetime.UTC)  # noqa: E731
        self.world = world_of(*MESH)
        self.views = Views(lambda: self.world, MeshConfig(), Secrets(FolderAuthority(folder, now), HOUR, now))
        self._clients = Clients()

    def client(self, id: str = SIDECAR_ID, caller: Caller | None = None, **metadata: Any) -> Client:
        return self._clients.join(read_node(id, metadata), caller, "", "delta", 0.0)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_everybody_sees_the_same_addresses(watched: Watched) -> None:
    for id in (SIDECAR_ID, ZTUNNEL_ID):
        assert watched.views.collection(ADDRESS, watched.client(id)) is watched.world.addresses


def test_an_envoy_sees_what_was_made_for_it(watched: Watched) -> None:
    client = watched.client()
    assert CLUSTER_NAME in watched.views.collection(CLUSTER, client).resources
    assert "virtualOutbound" in watched.views.collection(LISTENER, client).resources


def test_a_node_proxy_has_no_listeners(watched: Watched) -> None:
    assert len(watched.views.collection(LISTENER, watched.client(ZTUNNEL_ID))) == 0


def test_a_grpc_client_sees_what_grpc_understands(watched: Watched) -> None:
    client = watched.client(GENERATOR="grpc")
    assert "cart.shop:80" in watched.views.collection(LISTENER, client).resources


def test_unknown_types_are_empty(watched: Watched) -> None:
    assert watched.views.collection("type.googleapis.com/made.Up", watched.client()) is NOTHING


def test_a_change_alters_only_the_types_it_concerns(watched: Watched) -> None:
    client = watched.client()
    before = {url: watched.views.collection(url, client) for url in (CLUSTER, ENDPOINTS)}
    watched.world = world_of(*MESH, pod("cart-2", "10.0.0.2"), after=watched.world)
    assert watched.views.collection(CLUSTER, client) is before[CLUSTER]
    assert watched.views.collection(ENDPOINTS, client).changes_since(before[ENDPOINTS]) == {CLUSTER_NAME}


def test_each_state_is_made_once_for_each_client(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    client = watched.client()
    first = watched.views.collection(CLUSTER, client)
    monkeypatch.setattr("istiod_py.views.resources_of", None)  # would fail if it were called again
    assert watched.views.collection(CLUSTER, client) is first


def test_a_resource_of_the_wrong_form_leaves_the_client_with_what_it_had(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = watched.client()
    before = watched.views.collection(CLUSTER, client)
    wrong = resources.EnvoyResources({"x": {"nmae": "x"}}, {}, {}, {})
    monkeypatch.setattr("istiod_py.views.resources_of", lambda *_: wrong)
    watched.world = World(watched.world.mesh, number=watched.world.number + 1)
    assert watched.views.collection(CLUSTER, client) is before
    assert "keeps what it has" in caplog.text
    assert "nmae" in caplog.text


def test_secrets_are_those_of_the_proven_identity(watched: Watched) -> None:
    anonymous, cart, other = watched.client(), *(watched.client(caller=Caller("shop", who)) for who in ("cart", "pay"))
    assert watched.views.collection(SECRET, anonymous) is NOTHING
    found = watched.views.collection(SECRET, cart)
    assert set(found.resources) == {"default", "ROOTCA"}
    assert found.resources["default"].body != watched.views.collection(SECRET, other).resources["default"].body
    assert watched.views.collection(SECRET, cart) is found


def test_our_own_proxies_see_the_manifests_that_concern_them(watched: Watched) -> None:
    found = watched.views.collection(PROXY_CONFIG, watched.client())
    [resource] = found.resources.values()
    assert resource.name == "shop/cart-1"
    config = decode_proxy_config(resource.body, resource.name)
    assert [(one.kind, one.metadata.name) for one in config.objects] == [("Pod", "cart-1")]
    watched.world = world_of(*MESH, pod("cart-2", "10.0.0.2"), after=watched.world)
    assert watched.views.collection(PROXY_CONFIG, watched.client()).version == found.version


def test_a_proxy_of_no_pod_sees_none(watched: Watched) -> None:
    client = watched.client("sidecar~10.0.0.9~nobody.shop~shop.svc.cluster.local")
    assert watched.views.collection(PROXY_CONFIG, client) is NOTHING


def test_a_mistake_of_ours_leaves_the_client_with_what_it_had(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = watched.client()
    before = watched.views.collection(CLUSTER, client)
    monkeypatch.setattr("istiod_py.views.resources_of", None)
    watched.world = World(watched.world.mesh, number=watched.world.number + 1)
    assert watched.views.collection(CLUSTER, client) is before
    assert "unexpected error" in caplog.text
