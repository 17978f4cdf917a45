"""Files in ztunnel's own format beside manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.ambient.build import build
from mesh_py.discovery.local_file import LocalConfig
from mesh_py.manifests.objects import KubernetesObject, Manifests
from mesh_py.model.address import NamespacedHostname
from mesh_py.model.authorization import Action, Policy, Scope
from tests.istiod_py.ambient.folder import authorization, codes, pod, service, the_pod, the_service
from tests.support import world

if TYPE_CHECKING:
    from istiod_py.ambient.mesh import Mesh

UID = "Kubernetes//Pod/shop/web-1"
EXTRA = LocalConfig(
    (world.workload("extra", "10.7.0.1", trust_domain=""),),
    (world.service("extra.example.com", "10.97.0.1"),),
    (Policy("extra", "default", Scope.GLOBAL, Action.ALLOW),),
)


def told(*objects: KubernetesObject, config: LocalConfig = EXTRA, more: tuple[LocalConfig, ...] = ()) -> Mesh:
    return build(Manifests.of(objects, (config, *more)))


def test_they_add_to_the_mesh() -> None:
    both = told(pod(), service(), authorization("p"))
    assert list(both.workloads) == [UID, "cluster//Pod/default/extra"]
    assert list(both.services) == ["shop/web.shop.svc.cluster.local", "default/extra.example.com"]
    assert list(both.policies) == ["shop/p", "default/extra"]
    assert both.notices == ()


def test_a_workload_without_trust_domain_is_of_the_meshs() -> None:
    assert str(told().workloads["cluster//Pod/default/extra"].identity).startswith("spiffe://cluster.local/")


def test_what_a_manifest_says_cannot_be_changed() -> None:
    same = LocalConfig(
        (world.workload("other", "10.7.0.1", uid=UID),),
        (world.service("web.shop.svc.cluster.local", namespace="shop"),),
        (Policy("p", "shop", Scope.GLOBAL, Action.DENY),),
    )
    both = told(pod(), service(), authorization("p"), config=same)
    assert the_pod(both).name == "web-1"
    assert the_service(both).name == "web"
    assert both.policies["shop/p"].action is Action.ALLOW
    assert codes(both) == ["local-conflict"] * 3


def test_of_two_files_the_first_counts() -> None:
    second = LocalConfig((world.workload("extra", "10.7.0.2"),))
    both = told(more=(second,))
    assert both.workloads["cluster//Pod/default/extra"].workload_ips == ("10.7.0.1",)
    assert codes(both) == ["local-conflict"]


def test_a_service_that_names_its_endpoints_is_named_by_them() -> None:
    front = world.service("front.example.com", endpoints={UID: world.endpoint(UID, {80: 81})})
    both = told(pod(), config=LocalConfig(services=(front,)))
    assert the_pod(both).services == {NamespacedHostname("default", "front.example.com"): {80: 81}}
    assert the_service(both, "front.example.com", "default").endpoints == {}


def test_an_endpoint_that_is_no_workload_is_told() -> None:
    front = world.service("front.example.com", endpoints={"gone": world.endpoint("gone")})
    assert codes(told(config=LocalConfig(services=(front,)))) == ["local-endpoint"]
