"""resolve(): the decision tree of hbone-dataplane 2.2, one row per case of its checklist (11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.discovery.resolve import resolve
from mesh_py.model.address import NetworkAddress
from mesh_py.model.errors import RouteError
from mesh_py.model.route import ByName
from mesh_py.model.workload import (
    ApplicationTunnel,
    HealthStatus,
    IpFamilies,
    LoadBalancer,
    LoadBalancerMode,
    LoadBalancerScope,
    NetworkMode,
    Protocol,
    TunnelProtocol,
    WeightedWaypoint,
)
from tests.support.world import MeshObject, address, gateway, ip, mesh, one_line, service, workload

if TYPE_CHECKING:
    from mesh_py.model.workload import Workload

SOURCE = workload("client", "10.0.0.1")
EXAMPLE = "default/example.com"
PASSTHROUGH = LoadBalancer((), LoadBalancerMode.PASSTHROUGH)

SERVER = workload("server", "10.0.0.2")
TCP_SERVER = workload("server", "10.0.0.2", protocol=Protocol.TCP)
BACKEND = workload("backend", "10.0.0.3", services={EXAMPLE: {80: 8080}})
VIP = service("example.com", "10.96.0.1")

WAYPOINT_POD = workload("waypoint", "10.0.0.9", services={"default/waypoint.svc": {15008: 15008}})
WAYPOINT = service("waypoint.svc", "10.96.0.9", ports={15008: 15008})

REMOTE = workload(
    "remote",
    network="remote",
    network_gateway=gateway("remote/10.22.1.1", 15009),
    services={EXAMPLE: {80: 8080}},
)
EAST_WEST = workload("east-west", "10.22.1.1", network="remote")
NAMES = ("spiffe://cluster.local/ns/default/sa/backend", "not-spiffe")


def route(objects: tuple[MeshObject, ...], destination: str, source: Workload = SOURCE) -> str:
    state = mesh(source, *objects)
    return one_line(resolve(state, source, source.workload_ips[0], address(destination), random=lambda: 0.0))


@pytest.mark.parametrize(
    ("objects", "destination", "expected"),
    [
        pytest.param((), "1.2.3.4:80", "tcp to 1.2.3.4:80; workload unknown", id="unknown ip"),
        pytest.param((), "[2001:db8::1]:80", "tcp to [2001:db8::1]:80; workload unknown", id="unknown ipv6"),
        pytest.param((TCP_SERVER,), "10.0.0.2:81", "tcp to 10.0.0.2:81; workload server", id="tcp workload"),
        pytest.param(
            (SERVER,), "10.0.0.2:81", "10.0.0.2:81 via 10.0.0.2:15008 to server; workload server", id="hbone workload"
        ),
        pytest.param(
            (workload("server", "10.0.0.2", node="node-b"),),
            "10.0.0.2:81",
            "10.0.0.2:81 via 10.0.0.2:15008 to server; workload server",
            id="a workload of another node goes the same way",
        ),
        pytest.param(
            (VIP, BACKEND),
            "10.96.0.1:80",
            "10.0.0.3:8080 via 10.0.0.3:15008 to backend; workload backend; service example.com",
            id="service",
        ),
        pytest.param(
            (VIP, workload("tcp", "10.0.0.3", protocol=Protocol.TCP, services={EXAMPLE: {80: 9090}})),
            "10.96.0.1:80",
            "tcp to 10.0.0.3:9090; workload tcp; service example.com",
            id="service of tcp workloads, the endpoint's port wins",
        ),
        pytest.param(
            (
                service("example.com", "10.96.0.1", subject_alt_names=NAMES),
                workload("w", "10.0.0.3", services={EXAMPLE: {}}),
            ),
            "10.96.0.1:80",
            "10.0.0.3:8080 via 10.0.0.3:15008 to backend, w; workload w; service example.com",
            id="a service's names are expected before the workload's own, those not SPIFFE never",
        ),
        pytest.param(
            (service("example.com", "10.96.0.1", load_balancer=PASSTHROUGH), BACKEND),
            "10.96.0.1:80",
            "tcp to 10.96.0.1:80; workload unknown",
            id="passthrough service keeps the original destination",
        ),
        pytest.param(
            (
                service("example.com", "10.96.0.1", load_balancer=PASSTHROUGH, waypoint=gateway("/10.96.0.9")),
                WAYPOINT,
                WAYPOINT_POD,
            ),
            "10.96.0.1:80",
            "10.96.0.1:80 via 10.0.0.9:15008 to waypoint; workload waypoint; service example.com",
            id="passthrough service with a waypoint goes to the waypoint",
        ),
        pytest.param(
            (
                service("example.com", "10.96.0.1", ports={80: 0}),
                workload("unnamed", "10.0.0.3", services={EXAMPLE: {}}),
                workload("named", "10.0.0.4", services={EXAMPLE: {80: 7070}}),
            ),
            "10.96.0.1:80",
            "10.0.0.4:7070 via 10.0.0.4:15008 to named; workload named; service example.com",
            id="named target port: only endpoints that define it",
        ),
        pytest.param(
            (
                VIP,
                workload("host", "10.0.0.3", network_mode=NetworkMode.HOST_NETWORK, services={EXAMPLE: {80: 8080}}),
            ),
            "10.96.0.1:80",
            "10.0.0.3:8080 via 10.0.0.3:15008 to host; workload host; service example.com",
            id="host network, by service",
        ),
        pytest.param(
            (workload("host", "10.0.0.3", network_mode=NetworkMode.HOST_NETWORK),),
            "10.0.0.3:80",
            "tcp to 10.0.0.3:80; workload unknown",
            id="host network, by node ip: nobody's",
        ),
        pytest.param(
            (workload("other", "10.0.0.2", network="elsewhere"),),
            "10.0.0.2:80",
            "tcp to 10.0.0.2:80; workload unknown",
            id="an address of another network is unknown in ours",
        ),
    ],
)
def test_to_workloads_and_services(objects: tuple[MeshObject, ...], destination: str, expected: str) -> None:
    assert route(objects, destination) == expected


@pytest.mark.parametrize(
    ("families", "destination", "expected"),
    [
        pytest.param(None, "10.96.0.1:80", "10.0.0.3", id="any family, asked by v4"),
        pytest.param(None, "[fd00:96::1]:80", "fd00::3", id="any family, asked by v6"),
        pytest.param(IpFamilies.IPV4, "[fd00:96::1]:80", "10.0.0.3", id="v4 only, asked by v6"),
        pytest.param(IpFamilies.IPV6, "10.96.0.1:80", "fd00::3", id="v6 only, asked by v4"),
        pytest.param(IpFamilies.DUAL, "10.96.0.1:80", "10.0.0.3", id="dual, asked by v4"),
        pytest.param(IpFamilies.DUAL, "[fd00:96::1]:80", "fd00::3", id="dual, asked by v6"),
    ],
)
def test_the_address_family_of_a_service(families: IpFamilies | None, destination: str, expected: str) -> None:
    both = service("example.com", "10.96.0.1", "fd00:96::1", ip_families=families)
    dual = workload("dual", "10.0.0.3", "fd00::3", services={EXAMPLE: {}})
    state = mesh(SOURCE, both, dual)
    for _ in range(2):  # the second time by the route that was kept
        found = resolve(state, SOURCE, ip("10.0.0.1"), address(destination), random=lambda: 0.0)
        assert not isinstance(found, ByName)
        assert found.next_hop == (expected, 15008)


def test_a_workload_with_two_addresses_is_reached_by_the_one_asked_for() -> None:
    dual = workload("dual", "10.0.0.3", "fd00::3")
    assert route((dual,), "[fd00::3]:80") == "[fd00::3]:80 via [fd00::3]:15008 to dual; workload dual"
    assert route((dual,), "10.0.0.3:80") == "10.0.0.3:80 via 10.0.0.3:15008 to dual; workload dual"


@pytest.mark.parametrize(
    ("objects", "destination", "expected"),
    [
        pytest.param(
            (workload("server", "10.0.0.2", waypoint=gateway("/10.0.0.9")), WAYPOINT_POD),
            "10.0.0.2:80",
            "10.0.0.2:80 via 10.0.0.9:15008 to waypoint; workload waypoint",
            id="a workload's waypoint, by its pod's address",
        ),
        pytest.param(
            (workload("server", "10.0.0.2", waypoint=gateway("default/waypoint.svc")), WAYPOINT, WAYPOINT_POD),
            "10.0.0.2:80",
            "10.0.0.2:80 via 10.0.0.9:15008 to waypoint; workload waypoint",
            id="a workload's waypoint, by service name",
        ),
        pytest.param(
            (workload("server", "ff06::c3", waypoint=gateway("/127.0.0.11")), workload("waypoint", "127.0.0.11")),
            "[ff06::c3]:80",
            "[ff06::c3]:80 via 127.0.0.11:15008 to waypoint; workload waypoint",
            id="an IPv6 call by an IPv4 waypoint",
        ),
        pytest.param(
            (
                workload("server", "10.0.0.2", waypoint=gateway("default/wp.example", 15010)),
                workload("waypoint", "10.0.0.9", hostname="wp.example"),
            ),
            "10.0.0.2:80",
            "10.0.0.2:80 via 10.0.0.9:15010 to waypoint; workload waypoint",
            id="a workload's waypoint, by workload host name and its own port",
        ),
        pytest.param(
            (service("example.com", "10.96.0.1", waypoint=gateway("/10.96.0.9")), WAYPOINT, WAYPOINT_POD, BACKEND),
            "10.96.0.1:80",
            "10.96.0.1:80 via 10.0.0.9:15008 to waypoint; workload waypoint; service example.com",
            id="a service's waypoint: asked for the service, untranslated",
        ),
        pytest.param(
            (
                service("example.com", "10.96.0.1", waypoint=gateway("/10.96.0.9")),
                service("waypoint.svc", "10.96.0.9", ports={}, subject_alt_names=NAMES),
                workload(
                    "waypoint",
                    "10.0.0.9",
                    services={"default/waypoint.svc": {}},
                    application_tunnel=ApplicationTunnel(TunnelProtocol.PROXY, 15088),
                ),
            ),
            "10.96.0.1:80",
            "10.96.0.1:80 via 10.0.0.9:15008 to backend, waypoint; workload waypoint; service example.com",
            id="a waypoint with an application tunnel needs no port on its service",
        ),
        pytest.param(
            (VIP, workload("pod", "10.0.0.3", services={EXAMPLE: {}}, waypoint=gateway("/10.0.0.9")), WAYPOINT_POD),
            "10.96.0.1:80",
            "10.0.0.3:8080 via 10.0.0.3:15008 to pod; workload pod; service example.com",
            id="a call to a service ignores the workload's waypoint",
        ),
        pytest.param(
            (
                service(
                    "example.com",
                    "10.96.0.1",
                    waypoint=gateway("/10.0.0.2"),
                    weighted_waypoints=(
                        WeightedWaypoint(gateway("/10.0.0.2"), 0),
                        WeightedWaypoint(gateway("/10.0.0.9"), 1),
                    ),
                ),
                WAYPOINT_POD,
                SERVER,
            ),
            "10.96.0.1:80",
            "10.96.0.1:80 via 10.0.0.9:15008 to waypoint; workload waypoint; service example.com",
            id="weighted waypoints go before the single one, without those that weigh nothing",
        ),
        pytest.param(
            (
                service(
                    "example.com",
                    "10.96.0.1",
                    waypoint=gateway("/10.0.0.9"),
                    weighted_waypoints=(WeightedWaypoint(gateway("/10.0.0.2"), 0),),
                ),
                WAYPOINT_POD,
                SERVER,
            ),
            "10.96.0.1:80",
            "10.96.0.1:80 via 10.0.0.9:15008 to waypoint; workload waypoint; service example.com",
            id="weighted waypoints of no weight fall back to the single one",
        ),
    ],
)
def test_through_waypoints(objects: tuple[MeshObject, ...], destination: str, expected: str) -> None:
    assert route(objects, destination) == expected


def test_the_waypoint_of_the_source_is_not_used() -> None:
    client = workload("client", "10.0.0.1", waypoint=gateway("/10.0.0.9"))
    expected = "10.0.0.2:80 via 10.0.0.2:15008 to server; workload server"
    assert route((SERVER, WAYPOINT_POD), "10.0.0.2:80", source=client) == expected


@pytest.mark.parametrize("reference", ["/10.0.0.9", "default/waypoint.svc"])
def test_a_workloads_own_waypoint_goes_straight_to_it(reference: str) -> None:
    server = workload("server", "10.0.0.2", waypoint=gateway(reference))
    expected = "10.0.0.2:80 via 10.0.0.2:15008 to server; workload server"
    assert route((server, WAYPOINT), "10.0.0.2:80", source=WAYPOINT_POD) == expected


def test_a_waypoints_identity_from_another_address_is_no_waypoint() -> None:
    server = workload("server", "10.0.0.2", waypoint=gateway("/10.0.0.9"))
    impostor = workload("impostor", "10.0.0.66", service_account="waypoint")
    expected = "10.0.0.2:80 via 10.0.0.9:15008 to waypoint; workload waypoint"
    assert route((server, WAYPOINT_POD), "10.0.0.2:80", source=impostor) == expected


def test_a_services_waypoint_is_used_even_by_itself() -> None:
    owned = service("example.com", "10.96.0.1", waypoint=gateway("/10.96.0.9"))
    expected = "10.96.0.1:80 via 10.0.0.9:15008 to waypoint; workload waypoint; service example.com"
    assert route((owned, WAYPOINT, BACKEND), "10.96.0.1:80", source=WAYPOINT_POD) == expected


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param(
            (VIP, REMOTE, EAST_WEST),
            "example.com:80 through 10.22.1.1:15009 of east-west to nobody; workload east-west; service example.com",
            id="gateway by address: its port is kept",
        ),
        pytest.param(
            (
                service("example.com", "10.96.0.1", subject_alt_names=NAMES),
                REMOTE,
                service("gw.example", "remote/10.22.1.1", ports={15009: 15008}),
                workload("gw", "10.22.2.2", services={"default/gw.example": {15009: 15008}}),
            ),
            "example.com:80 through 10.22.2.2:15008 of gw to backend; workload gw; service example.com",
            id="gateway by the address of a service: its port is mapped",
        ),
        pytest.param(
            (
                VIP,
                workload(
                    "remote",
                    network="remote",
                    network_gateway=gateway("istio/gw.example", 15009),
                    services={EXAMPLE: {}},
                ),
                service("gw.example", namespace="istio", ports={15009: 15008}, subject_alt_names=NAMES),
                workload("gw", "10.22.2.2", services={"istio/gw.example": {}}),
            ),
            "example.com:80 through 10.22.2.2:15008 of backend, gw to nobody; workload gw; service example.com",
            id="gateway by host name: its port is mapped",
        ),
        pytest.param(
            (
                service("example.com", "10.96.0.1", waypoint=gateway("default/waypoint.svc"), subject_alt_names=NAMES),
                WAYPOINT,
                workload(
                    "waypoint",
                    network="remote",
                    network_gateway=gateway("remote/10.22.1.1", 15009),
                    services={"default/waypoint.svc": {}},
                ),
                EAST_WEST,
            ),
            "example.com:80 through 10.22.1.1:15009 of east-west to nobody; workload east-west; service example.com",
            id="a waypoint in another network: still the service by name",
        ),
    ],
)
def test_through_the_gateway_of_another_network(objects: tuple[MeshObject, ...], expected: str) -> None:
    assert route(objects, "10.96.0.1:80") == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(
            HealthStatus.HEALTHY,
            "10.0.0.3:8080 via 10.0.0.3:15008 to near; workload near; service example.com",
            id="the healthy local endpoint",
        ),
        pytest.param(
            HealthStatus.UNHEALTHY,
            "example.com:80 through 10.22.1.1:15009 of east-west to nobody; workload east-west; service example.com",
            id="the other network when it is not healthy",
        ),
    ],
)
def test_failover(status: HealthStatus, expected: str) -> None:
    balancer = LoadBalancer((LoadBalancerScope.NETWORK,), LoadBalancerMode.FAILOVER)
    near = workload("near", "10.0.0.3", services={EXAMPLE: {}}, status=status)
    objects = (service("example.com", "10.96.0.1", load_balancer=balancer), near, REMOTE, EAST_WEST)
    assert route(objects, "10.96.0.1:80") == expected


@pytest.mark.parametrize(
    ("objects", "destination", "expected"),
    [
        pytest.param((VIP,), "10.96.0.1:80", "no healthy upstream: 10.96.0.1:80", id="empty service"),
        pytest.param((VIP, BACKEND), "10.96.0.1:81", "no healthy upstream: 10.96.0.1:81", id="unknown port"),
        pytest.param(
            (VIP, workload("none", "10.0.0.3", services={EXAMPLE: {}}, capacity=0)),
            "10.96.0.1:80",
            "no healthy upstream: 10.96.0.1:80",
            id="endpoints that weigh nothing",
        ),
        pytest.param(
            (VIP, workload("far", "10.9.0.3", network="remote", services={EXAMPLE: {}})),
            "10.96.0.1:80",
            "no valid routing destination for workload: cluster//Pod/default/far",
            id="an endpoint in another network without a gateway",
        ),
        pytest.param(
            (VIP, workload("far", network="remote", services={EXAMPLE: {}})),
            "10.96.0.1:80",
            "no healthy upstream: 10.96.0.1:80",
            id="an endpoint without address and without gateway is never chosen",
        ),
        pytest.param(
            (VIP, REMOTE),
            "10.96.0.1:80",
            "unknown network gateway: network gateway remote/10.22.1.1:15009 not found",
            id="a gateway nobody knows",
        ),
        pytest.param(
            (service("example.com", "10.96.0.1", waypoint=gateway("/10.96.0.9")), BACKEND),
            "10.96.0.1:80",
            "unknown waypoint: waypoint /10.96.0.9:15008 not found",
            id="a service's waypoint that is unknown is not gone around",
        ),
        pytest.param(
            (service("example.com", "10.96.0.1", waypoint=gateway("default/waypoint.svc")), WAYPOINT, BACKEND),
            "10.96.0.1:80",
            "unknown waypoint: waypoint waypoint.svc not found",
            id="a waypoint without endpoints",
        ),
        pytest.param(
            (workload("server", "10.0.0.2", waypoint=gateway("default/gone.svc")),),
            "10.0.0.2:80",
            "unknown waypoint: waypoint gone.svc not found",
            id="a workload's waypoint that is unknown",
        ),
        pytest.param(
            (service("example.com", "10.96.0.1", ip_families=IpFamilies.IPV6), BACKEND),
            "10.96.0.1:80",
            "no valid routing destination for workload: cluster//Pod/default/backend",
            id="no address of the service's family",
        ),
    ],
)
def test_refusals(objects: tuple[MeshObject, ...], destination: str, expected: str) -> None:
    with pytest.raises(RouteError) as refused:
        route(objects, destination)
    assert str(refused.value) == expected


def test_a_workload_of_another_network_needs_a_service() -> None:
    far = workload("far", "10.9.0.3", network="remote")
    state = mesh(far, network="local")
    source = workload("client", "10.0.0.1", network="remote-too")
    assert one_line(resolve(state, source, ip("10.0.0.1"), address("10.9.0.3:80"), random=lambda: 0.0)) == (
        "tcp to 10.9.0.3:80; workload unknown"
    )
    shared = service("example.com", vips=(NetworkAddress("remote-too", ip("10.96.0.1")),))
    endpoint = workload("far", "10.9.0.3", network="remote", services={EXAMPLE: {}})
    with pytest.raises(RouteError, match=r"^no service for target address: 10\.96\.0\.1:80$"):
        resolve(mesh(shared, endpoint, network="local"), source, ip("10.0.0.1"), address("10.96.0.1:80"), random=float)


class TestByName:
    """Workloads known by DNS name only: the decision waits for the answers (2.5)."""

    NAMED = workload("dns", hostname="db.example", services={EXAMPLE: {80: 5432}})

    def find(self, destination: str = "10.96.0.1:80", **fields: Protocol) -> ByName:
        named = workload("dns", hostname="db.example", services={EXAMPLE: {80: 5432}}, **fields)
        state = mesh(SOURCE, service("example.com", "10.96.0.1", "fd00:96::1"), named)
        found = resolve(state, SOURCE, ip("10.0.0.1"), address(destination), random=lambda: 0.0)
        assert isinstance(found, ByName)
        return found

    def test_names_what_to_look_up(self) -> None:
        assert one_line(self.find()) == "look up db.example, IPv4 first; workload dns"
        assert one_line(self.find("[fd00:96::1]:80")) == "look up db.example, IPv6 first; workload dns"

    def test_the_route_uses_the_answer(self) -> None:
        found = self.find().choose([ip("fd00::5"), ip("10.5.0.5")], lambda: 0.0)
        assert one_line(found) == ("10.5.0.5:5432 via 10.5.0.5:15008 to dns; workload dns; service example.com")
        plain = self.find(protocol=Protocol.TCP).choose([ip("10.5.0.5")], lambda: 0.0)
        assert one_line(plain) == "tcp to 10.5.0.5:5432; workload dns; service example.com"

    def test_a_waypoint_may_be_known_by_name_only(self) -> None:
        server = workload("server", "10.0.0.2", waypoint=gateway("default/wp.example"))
        state = mesh(SOURCE, server, workload("waypoint", hostname="wp.example"))
        found = resolve(state, SOURCE, ip("10.0.0.1"), address("10.0.0.2:80"), random=lambda: 0.0)
        assert isinstance(found, ByName)
        assert one_line(found.choose([ip("10.5.0.9")], lambda: 0.0)) == (
            "10.0.0.2:80 via 10.5.0.9:15008 to waypoint; workload waypoint"
        )


def test_each_address_of_a_workload_is_reached_at_itself() -> None:
    state = mesh(SOURCE, workload("server", "10.0.0.2", "10.0.0.12"))
    for there in ("10.0.0.2", "10.0.0.12", "10.0.0.2"):
        found = resolve(state, SOURCE, ip("10.0.0.1"), address(f"{there}:80"), random=lambda: 0.0)
        assert one_line(found) == f"{there}:80 via {there}:15008 to server; workload server"


def test_a_kept_route_is_forgotten_when_the_workload_changes() -> None:
    state = mesh(SOURCE, VIP, BACKEND)

    def next_hop() -> object:
        found = resolve(state, SOURCE, ip("10.0.0.1"), address("10.96.0.1:80"), random=lambda: 0.0)
        return None if isinstance(found, ByName) else found.next_hop

    assert next_hop() == ("10.0.0.3", 15008)
    state.upsert_workload(workload("backend", "10.0.0.33", services={EXAMPLE: {80: 8080}}))
    assert next_hop() == ("10.0.0.33", 15008)
    state.upsert_workload(workload("backend", "10.0.0.33", protocol=Protocol.TCP, services={EXAMPLE: {80: 8080}}))
    assert next_hop() == ("10.0.0.33", 8080)
