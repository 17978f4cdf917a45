"""Where stand-ins listen: target ports however they are told, application tunnels, waypoints."""

from __future__ import annotations

import pytest

from mesh_py.discovery.local_file import LocalConfig
from mesh_py.discovery.stub_places import Place, places
from mesh_py.model.workload import ApplicationTunnel, Service, TunnelProtocol, WeightedWaypoint, Workload
from tests.support.world import endpoint, gateway, service, workload

KEY = "default/cart.shop"


def ports(*objects: Workload | Service) -> dict[str, tuple[int, ...]]:
    config = LocalConfig(
        tuple(one for one in objects if isinstance(one, Workload)),
        tuple(one for one in objects if isinstance(one, Service)),
    )
    return {place.name: place.ports for place in places(config, "")}


def cart(own: dict[int, int] | None = None, **fields: object) -> Workload:
    return workload("cart", "127.1.0.1", services={KEY: own or {}}, **fields)


@pytest.mark.parametrize(
    ("own", "of_service", "expected"),
    [
        pytest.param({}, {80: 8080, 443: 8443}, (8080, 8443), id="the service's"),
        pytest.param({80: 7070}, {80: 8080}, (7070,), id="the workload's own"),
        pytest.param({80: 7070}, {80: 0}, (7070,), id="a named port"),
        pytest.param({}, {80: 0}, (), id="a named port it does not have"),
        pytest.param({80: 15008}, {80: 8080}, (), id="never the proxy's"),
    ],
)
def test_target_ports(own: dict[int, int], of_service: dict[int, int], expected: tuple[int, ...]) -> None:
    assert ports(cart(own), service("cart.shop", ports=of_service)) == {"cart": expected}


def test_a_service_that_is_not_known() -> None:
    assert ports(cart({80: 7070})) == {"cart": (7070,)}


def test_a_workload_that_a_service_names() -> None:
    named = workload("cart", "127.1.0.1")
    its = service("cart.shop", endpoints={named.uid: endpoint(named.uid, {80: 7070})}, ports={80: 0, 90: 9090})
    assert ports(named, its) == {"cart": (7070, 9090)}


def test_a_workload_that_serves_nothing() -> None:
    assert ports(workload("client", "127.1.0.1")) == {"client": ()}


def test_an_application_tunnel_has_one_port() -> None:
    tunnel = ApplicationTunnel(TunnelProtocol.PROXY, 15088)
    assert ports(cart(application_tunnel=tunnel), service("cart.shop")) == {"cart": (15088,)}


WAY = workload("way", "127.1.0.8", services={"default/way.shop": {}})
WAY_SERVICE = service("way.shop", "127.96.0.9", ports={15008: 15008, 15021: 15021})


@pytest.mark.parametrize(
    "reference",
    [gateway("/127.96.0.9"), gateway("default/way.shop"), gateway("/127.1.0.8")],
    ids=["its service's address", "its service's name", "its own address"],
)
def test_a_waypoint_answers_for_what_it_is_the_waypoint_of(reference: object) -> None:
    found = ports(WAY, WAY_SERVICE, cart({80: 7070}, waypoint=reference), service("cart.shop", ports={80: 0}))
    assert found == {"cart": (7070,), "way": (7070, 15021)}
    found = ports(WAY, WAY_SERVICE, cart({80: 7070}), service("cart.shop", ports={80: 0}, waypoint=reference))
    assert found == {"cart": (7070,), "way": (80, 15021)}


def test_weighted_waypoints_answer_too() -> None:
    weighted = (WeightedWaypoint(gateway("/127.96.0.9"), 1),)
    found = ports(WAY, WAY_SERVICE, service("cart.shop", ports={80: 0}, weighted_waypoints=weighted))
    assert found == {"way": (80, 15021)}


def test_a_waypoint_that_is_not_there() -> None:
    assert ports(cart({80: 7070}, waypoint=gateway("/127.9.9.9"))) == {"cart": (7070,)}


def test_places_are_told_in_order_and_with_names() -> None:
    config = LocalConfig((workload("b", "127.1.0.2"), workload("a", "127.1.0.1")))
    first, second = places(config, "")
    assert first == Place("cluster//Pod/default/a", "default", "a", ("127.1.0.1",), ())  # type: ignore[arg-type]
    assert second.name == "b"
