"""Where stand-ins listen: target ports however they are told, application tunnels, waypoints."""

from __future__ import annotations

import pytest

from mesh_py.discovery.local_file import LocalConfig
from mesh_py.discovery.stub_places import Place, Trial, places, trial
from mesh_py.model.workload import ApplicationTunnel, Protocol, Service, TunnelProtocol, WeightedWaypoint, Workload
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


CART, WEB = "cart.shop", "web.shop"


def first(*objects: Workload | Service, network: str = "") -> Trial | None:
    return trial(
        LocalConfig(
            tuple(one for one in objects if isinstance(one, Workload)),
            tuple(one for one in objects if isinstance(one, Service)),
        ),
        network,
    )


CLIENT = workload("z-client", "127.1.0.9")
SHOP = service(CART, "127.96.0.1", ports={443: 0, 80: 0})


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([], None, id="an empty mesh"),
        pytest.param([cart(), SHOP], None, id="nobody but the server"),
        pytest.param(
            [cart(), SHOP, CLIENT], Trial("default/z-client", CART, 80), id="another workload, the lowest port"
        ),
        pytest.param([cart(), service(CART, ports={80: 0}), CLIENT], None, id="a service without an address"),
        pytest.param([cart(), service(CART, "far/127.96.0.1"), CLIENT], None, id="or with one of another network"),
        pytest.param([WAY, service("way.shop", "127.96.0.9", ports={15008: 0}), CLIENT], None, id="no waypoint's port"),
        pytest.param(
            [cart(), service("*.shop", "127.96.0.1"), CLIENT],
            None,
            id="no name one could ask for",
        ),
        pytest.param(
            [
                workload("a", "127.1.0.3", protocol=Protocol.TCP, services={"default/web.shop": {}}),
                service(WEB, "127.96.0.2"),
                cart(),
                SHOP,
            ],
            Trial("default/a", CART, 80),
            id="a tunnel rather than plain TCP",
        ),
        pytest.param(
            [
                cart(authorization_policies=("default/p",)),
                SHOP,
                workload("d", "127.1.0.3", services={"default/web.shop": {}}),
                service(WEB, "127.96.0.2"),
            ],
            Trial("default/cart", WEB, 80),
            id="rather one without policies of its own",
        ),
    ],
)
def test_what_to_try_first(objects: list[Workload | Service], expected: Trial | None) -> None:
    assert first(*objects) == expected


def test_only_workloads_of_our_network_are_tried() -> None:
    far = workload("far", "127.1.0.9", network="far")
    assert first(cart(), SHOP, far) is None
    assert first(cart(), SHOP, far, CLIENT) == Trial("default/z-client", CART, 80)
