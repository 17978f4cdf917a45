"""Where decisions lead: worked out once, unless the decision is another each time or the mesh has changed."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mesh_py.discovery.state import MeshState
from mesh_py.http.errors import InvalidBackend
from mesh_py.http.messages import HttpRequest
from mesh_py.http.retry import DEFAULT_POLICY
from mesh_py.http.router import Forward
from mesh_py.manifests.proxy_file import further_of, read_proxy_file
from mesh_py.manifests.references import BackendReference
from mesh_py.proxy.clusters import Clusters
from mesh_py.proxy.directory import Directory
from mesh_py.proxy.resolved_routes import ResolvedRoutes
from mesh_py.proxy.ways import WayRules
from tests.support.world import service, workload

if TYPE_CHECKING:
    from mesh_py.discovery.record import ServiceRecord

SLEEP = workload("sleep", "10.0.0.1")
CART = service("cart.default.svc.cluster.local", "10.1.0.1")
ROUTE = """\
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: cart, namespace: default}
  spec:
    parentRefs: [{group: "", kind: Service, name: cart, port: 80}]
    rules:
    - matches: [{path: {value: /marked}}]
      filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-marked, value: "1"}]}}]
      backendRefs: [{name: cart, port: 80}]
    - timeouts: {request: 2s}
      backendRefs: [{name: cart, port: 80}]
"""


class Scene:
    def __init__(self) -> None:
        self.state = MeshState()
        self.state.upsert_service(CART)
        self.directory = Directory(self.state, "cluster.local")
        self.directory.take(further_of(read_proxy_file(ROUTE, "mesh.yaml")))
        clusters = Clusters(self.state, self.directory, WayRules(), Random(1).random, 60.0)
        context: Any = SimpleNamespace(state=self.state, directory=self.directory, workload=SLEEP)
        self.resolved_routes = ResolvedRoutes(context, clusters)

    @property
    def cart(self) -> ServiceRecord:
        return self.state.services.by_key[CART.key]

    def decide(self, path: str) -> Forward:
        decision = self.directory.routes(SLEEP, self.cart, 80).route(HttpRequest("GET", path, "cart"), Random(1).random)
        assert isinstance(decision, Forward)
        return decision


def test_without_a_route_the_defaults() -> None:
    scene = Scene()
    resolved = scene.resolved_routes.of(scene.cart, 80, None)
    assert (resolved.cluster.name, resolved.limits.retry) == (f"outbound|80||{CART.hostname}", DEFAULT_POLICY)
    assert scene.resolved_routes.of(scene.cart, 80, None) is resolved


def test_the_same_decision_leads_to_the_same_place() -> None:
    scene = Scene()
    resolved = scene.resolved_routes.of(scene.cart, 80, scene.decide("/"))
    assert (resolved.cluster.record, resolved.limits.whole) == (scene.cart, 2.0)
    assert scene.resolved_routes.of(scene.cart, 80, scene.decide("/")) is resolved
    assert scene.resolved_routes.of(scene.cart, 80, None) is not resolved


def test_a_decision_that_changes_requests_is_another_each_time() -> None:
    scene = Scene()
    found = [scene.resolved_routes.of(scene.cart, 80, scene.decide("/marked")) for _ in range(2)]
    assert found[0] is not found[1]
    assert found[0].cluster is found[1].cluster


def test_after_a_change_it_leads_where_the_mesh_says_now() -> None:
    scene = Scene()
    scene.resolved_routes.of(scene.cart, 80, None)
    scene.state.upsert_service(replace(CART, ports={80: 9090}))
    resolved = scene.resolved_routes.of(scene.cart, 80, None)
    assert resolved.asked is scene.cart
    assert resolved.cluster.record.service.ports == {80: 9090}


def reference(name: str, port: int | None) -> BackendReference:
    return BackendReference(name=name, namespace="default", port=port)


@pytest.mark.parametrize("port", [80, None], ids=["its own port", "the port that was meant"])
def test_a_backend_and_its_port(port: int | None) -> None:
    scene = Scene()
    found, there = scene.resolved_routes.backend(scene.decide("/"), reference("cart", port), 80)
    assert (found, there) == (scene.cart, 80)


@pytest.mark.parametrize(("name", "port"), [("nobody", 80), ("cart", 81)])
def test_a_backend_that_is_none_is_named(name: str, port: int) -> None:
    scene = Scene()
    with pytest.raises(InvalidBackend, match=f"route default/cart/1: there is no backend default/{name}:{port}"):
        scene.resolved_routes.backend(scene.decide("/"), reference(name, port), 80)
