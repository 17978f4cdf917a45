"""Who serves what, how it is reached, and which waypoint is whose."""

from __future__ import annotations

import pytest

from istiod_py.envoy.mesh import Place
from mesh_py.manifests.core import Pod, Service, ServicePort
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.networking import WorkloadEntry
from mesh_py.manifests.security import MutualTls
from mesh_py.model.address import IpAddress, parse_ip
from mesh_py.model.workload import (
    ApplicationTunnel,
    AppProtocol,
    HealthPolicy,
    HealthStatus,
    LoadBalancer,
    NetworkMode,
    TunnelProtocol,
)
from tests.istiod_py.envoy.meshes import ECHO, echo_pod, echo_service, mesh, peer_authentication, sidecar, waypoint
from tests.support import world

UNHEALTHY = HealthStatus.UNHEALTHY
TUNNEL = ApplicationTunnel(TunnelProtocol.PROXY, 15088)


def places(*things: object, port: int = 80) -> list[str]:
    told = mesh(*things)
    [service] = [one for one in told.services.values() if one.hostname == ECHO]
    return [f"{place.workload.name} {place.ip}:{place.port}" for place in told.places(service, port)]


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(echo_pod(), ["echo 10.1.0.2:8080"], id="the service's target port"),
        pytest.param(echo_pod(services={f"default/{ECHO}": {80: 9000}}), ["echo 10.1.0.2:9000"], id="its own"),
        pytest.param(echo_pod(services={f"default/{ECHO}": {81: 9000}}), ["echo 10.1.0.2:8080"], id="of another port"),
        pytest.param(echo_pod(status=UNHEALTHY), [], id="not ready"),
        pytest.param(echo_pod(workload_ips=()), [], id="no address"),
        pytest.param(echo_pod(services={}), [], id="of no service"),
    ],
)
def test_who_serves_a_port(pod: object, expected: list[str]) -> None:
    assert places(echo_service(), pod) == expected


def test_a_named_port_is_resolved_by_each_pod_or_by_its_tunnel() -> None:
    service = echo_service(ports={80: 0})
    assert places(service, echo_pod()) == []
    assert places(service, echo_pod(services={f"default/{ECHO}": {80: 7}})) == ["echo 10.1.0.2:7"]
    assert places(service, echo_pod(application_tunnel=TUNNEL)) == ["echo 10.1.0.2:80"]


def test_endpoints_that_a_service_names_itself() -> None:
    pod = world.workload("away", "10.1.0.5")
    service = echo_service(endpoints={pod.uid: world.endpoint(pod.uid, {80: 81})})
    assert places(service, pod) == ["away 10.1.0.5:81"]


def test_a_service_may_want_the_unready_too() -> None:
    service = echo_service(load_balancer=LoadBalancer(health_policy=HealthPolicy.ALLOW_ALL))
    assert places(service, echo_pod(status=UNHEALTHY)) == ["echo 10.1.0.2:8080"]


def test_those_known_by_name_only_are_names() -> None:
    service = echo_service()
    told = mesh(service, echo_pod(workload_ips=(), hostname="echo.example"))
    assert told.names(service, 80) == (("echo.example", 8080),)
    assert told.places(service, 80) == ()


def test_a_port_says_what_it_speaks_or_is_listened_to() -> None:
    service = echo_service(ports={80: 1, 82: 1, 3306: 1})
    told = mesh(service)
    kinds = [told.protocol(service, port) for port in service.ports]
    assert kinds == [AppProtocol.HTTP11, AppProtocol.UNKNOWN, AppProtocol.TCP]


def test_a_port_may_opt_out_of_mutual_tls() -> None:
    pod = echo_pod(uid="cluster//Pod/default/echo", mutual_tls=True)
    written = Pod(Metadata("echo", "default", {"app": "echo"}))
    off = peer_authentication("p", selector={"app": "echo"}, port_level_mtls={8080: MutualTls.DISABLE})
    told = mesh(echo_service(ports={80: 8080, 81: 8081}), pod, written, off, sidecars=("echo",))
    [service] = told.services.values()
    ways = [told.takes_mutual_tls(told.places(service, port)[0]) for port in (80, 81)]
    assert ways == [False, True]
    assert not mesh(pod).takes_mutual_tls(Place(echo_pod(), parse_ip("10.1.0.2"), 8080))


def test_labels_are_those_of_the_manifest() -> None:
    pod, entry, other = (
        world.workload(name, uid=f"cluster/{kind}/default/{name}")
        for name, kind in (("pod", "/Pod"), ("entry", "networking.istio.io/WorkloadEntry"), ("other", "x"))
    )
    told = mesh(
        pod,
        entry,
        other,
        Pod(Metadata("pod", "default", {"a": "1"})),
        WorkloadEntry(Metadata("entry", "default", {"b": "2"})),
    )
    assert [dict(told.labels(one)) for one in (pod, entry, other)] == [{"a": "1"}, {"b": "2"}, {}]


def test_nobody_is_found_by_the_address_of_its_host() -> None:
    told = mesh(echo_pod(network_mode=NetworkMode.HOST_NETWORK), world.workload("other", "10.1.0.3"))
    assert told.workload_at(IpAddress("10.1.0.2")) is None
    assert told.workload_at(IpAddress("10.1.0.3")) is not None


@pytest.mark.parametrize(
    "gateway",
    ["/10.1.0.9", "/10.2.0.9", "default/waypoint.default.svc.cluster.local", "default/way.example"],
)
def test_a_waypoint_is_found_by_any_of_its_names(gateway: str) -> None:
    own = world.workload("waypoint-1", "10.1.0.9", services={"default/way.example": {}})
    service = world.service("way.example", "10.2.0.9")
    behind = echo_service(waypoint=world.gateway(gateway))
    pod = echo_pod(waypoint=world.gateway(gateway))
    told = mesh(own, service, behind, pod, world.workload("other", "10.1.0.3"))
    node = waypoint(labels={"gateway.networking.k8s.io/gateway-name": "waypoint"})
    assert [one.hostname for one in told.attached(node)] == [ECHO]
    assert [one.name for one in told.attached_workloads(node)] == ["echo"]
    assert told.attached(waypoint("10.1.0.3", "other")) == []


def test_a_waypoint_of_another_network_is_another() -> None:
    own = world.workload("waypoint", "10.1.0.9", network="here")
    told = mesh(own, echo_service(waypoint=world.gateway("there/10.1.0.9")))
    assert told.attached(waypoint()) == []


def test_the_proxy_behind_a_waypoints_name() -> None:
    own = world.workload("waypoint-1", "10.1.0.9", services={"default/way.example": {}})
    told = mesh(own, world.service("way.example", "10.2.0.9"))
    for name in ("/10.1.0.9", "/10.2.0.9", "default/way.example"):
        place = told.waypoint_place(world.gateway(name))
        assert place is not None
        assert (place.ip, place.port) == ("10.1.0.9", 15008)
    assert told.waypoint_place(world.gateway("default/nobody.example")) is None


def test_the_mesh_fills_in_what_an_identity_leaves_out() -> None:
    told = mesh(trust_domain="mesh.example")
    assert told.identity(echo_pod(trust_domain="")) == "spiffe://mesh.example/ns/default/sa/echo"
    assert told.identity(echo_pod(service_account="")) == "spiffe://cluster.local/ns/default/sa/default"


def test_a_port_has_the_name_of_its_manifest() -> None:
    written = Service(Metadata("echo", "default"), (ServicePort(80, "web"),))
    told = mesh(echo_service(), written)
    [service] = told.services.values()
    assert (told.port_name(service, 80), told.port_name(service, 81)) == ("web", "")


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        pytest.param((), {"app": "said"}, id="nobody knows better"),
        pytest.param((Pod(Metadata("client", "default", {"app": "written"})),), {"app": "written"}, id="its manifest"),
        pytest.param((Pod(Metadata("client", "default")),), {}, id="a manifest without any"),
        pytest.param((Pod(Metadata("other", "default", {"app": "other"})),), {"app": "said"}, id="another pod's"),
    ],
)
def test_a_proxys_labels_are_those_of_its_manifest(pods: tuple[Pod, ...], expected: dict[str, str]) -> None:
    own = world.workload("client", "10.1.0.1")
    assert mesh(own, *pods).labels_of_proxy(sidecar(labels={"app": "said"})) == expected


def test_a_proxy_at_the_address_of_another_pod_is_what_it_said() -> None:
    other = world.workload("other", "10.1.0.1")
    told = mesh(other, Pod(Metadata("other", "default", {"app": "other"})))
    assert told.labels_of_proxy(sidecar(labels={"app": "said"})) == {"app": "said"}
