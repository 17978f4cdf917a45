"""What a workload has from other objects."""

from __future__ import annotations

import pytest

from istiod_py.ambient.context import Context
from istiod_py.ambient.options import AmbientOptions
from istiod_py.ambient.policies import Policies
from istiod_py.ambient.services import all_services
from istiod_py.ambient.surroundings import Surroundings
from mesh_py.manifests.core import EndpointSlice, SliceEndpoint
from mesh_py.manifests.objects import KubernetesObject, Manifests
from tests.istiod_py.ambient.folder import authorization, entry, meta, pod, service, waypoint

WEB = {"app": "web"}


def around(*objects: KubernetesObject) -> Surroundings:
    context = Context(Manifests.of(objects), AmbientOptions())
    services, _ = all_services(context)
    return Surroundings(context, services, Policies(context))


def listing(*pods: str, of: str = "web") -> EndpointSlice:
    endpoints = tuple(SliceEndpoint((f"10.1.0.{number}",), pod=name) for number, name in enumerate(pods))
    return EndpointSlice(meta("x", labels={"kubernetes.io/service-name": of}), endpoints=endpoints)


def test_a_workload_has_nothing_from_an_empty_mesh() -> None:
    assert around().of("Pod", meta("web-1"), WEB) == (None, None, ())


def test_a_workload_has_its_waypoint_and_its_policies() -> None:
    labels = WEB | {"istio.io/use-waypoint": "wp"}
    found = around(waypoint(labels={"istio.io/waypoint-for": "all"}), authorization("p", selector=WEB)).of(
        "Pod", meta("web-1", labels=labels), labels
    )
    assert found.waypoint is not None
    assert (found.waypoint.key, found.policies) == ("shop/wp", ("shop/p",))


@pytest.mark.parametrize(
    ("objects", "names"),
    [
        pytest.param([service()], ["web"], id="selected"),
        pytest.param([service(selector={}), listing("web-1")], ["web"], id="listed"),
        pytest.param([service(), listing("web-1")], ["web"], id="selected and listed is once"),
        pytest.param([service(), service("b", "10.96.0.2", selector={}), listing("web-1", of="b")], ["web", "b"],
                     id="selected by one, listed in another"),
        pytest.param([service(selector={}), listing("web-2")], [], id="another is listed"),
        pytest.param([listing("web-1")], [], id="listed for a service that is not there"),
        pytest.param([entry("web", "web.shop.svc.cluster.local"), listing("web-1")], [], id="a slice of an entry"),
    ],
)  # fmt: skip
def test_the_services_of_a_pod(objects: list[KubernetesObject], names: list[str]) -> None:
    found = around(*objects).services_of_pod(pod(labels=WEB))
    assert [facts.service.name for facts in found] == names


def test_what_is_wrong_is_collected() -> None:
    surroundings = around()
    labels = {"istio.io/use-waypoint": "gone"}
    surroundings.of("Pod", meta("web-1", labels=labels), labels)
    assert [one.code for one in surroundings.taken_notices()] == ["waypoint-unknown"]
