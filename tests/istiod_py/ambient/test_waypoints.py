"""Waypoints: where they are, who may use them, and which one an object goes through (hbone-controlplane 1.6)."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.ambient.waypoints import read_binding
from mesh_py.manifests.gateway import Gateway, GatewayAddressValue, Listener
from mesh_py.manifests.selector import LabelSelector
from mesh_py.model.address import GatewayAddress, NamespacedHostname, NetworkAddress, parse_ip
from mesh_py.model.workload import ApplicationTunnel, Protocol, TunnelProtocol, WeightedWaypoint
from tests.istiod_py.ambient.folder import (
    AMBIENT,
    codes,
    hbone_listener,
    mesh,
    namespace,
    pod,
    service,
    the_pod,
    the_service,
    waypoint,
)

USE, USE_NAMESPACE, FOR = "istio.io/use-waypoint", "istio.io/use-waypoint-namespace", "istio.io/waypoint-for"
NAME, BINDING = "gateway.networking.k8s.io/gateway-name", "ambient.istio.io/waypoint-inbound-binding"


def by_name(hostname: str = "wp.shop.svc.cluster.local", of: str = "shop") -> GatewayAddress:
    return GatewayAddress(NamespacedHostname(of, hostname), 15008)


WP = by_name()


# Where a waypoint is.


@pytest.mark.parametrize(
    ("gateway", "expected"),
    [
        pytest.param(waypoint(), WP, id="the name of the Service that it is given"),
        pytest.param(
            waypoint(status_addresses=(GatewayAddressValue("IPAddress", "10.96.0.9"),)),
            GatewayAddress(NetworkAddress("", parse_ip("10.96.0.9")), 15008),
            id="an IP of its status",
        ),
        pytest.param(
            waypoint(
                status_addresses=(GatewayAddressValue("IPAddress", "10.96.0.9"), GatewayAddressValue("Hostname", "h.x"))
            ),
            by_name("h.x"),
            id="a name rather than an IP",
        ),
        pytest.param(
            waypoint(gateway_class_name="mine", status_addresses=(GatewayAddressValue("Hostname", "h.x"),)),
            by_name("h.x"),
            id="of another class, with an address",
        ),
        pytest.param(waypoint(gateway_class_name="istio"), None, id="of another class, without one"),
        pytest.param(
            waypoint(gateway_class_name="mine", status_addresses=(GatewayAddressValue("NamedAddress", "x"),)),
            None,
            id="of another class, with an address of some other kind",
        ),
    ],
)
def test_where_a_waypoint_is(gateway: Gateway, expected: GatewayAddress | None) -> None:
    told = mesh(gateway, service(labels={USE: "wp"}))
    assert the_service(told).waypoint == expected


def test_a_waypoint_without_a_service_gets_one_that_leads_to_its_pods() -> None:
    told = mesh(AMBIENT, waypoint(), pod("wp-1", labels={NAME: "wp"}, service_account_name="wp"))
    made = the_service(told, "wp.shop.svc.cluster.local")
    assert (made.vips, made.ports, made.waypoint) == ((), {15021: 15021, 15008: 15008}, None)
    assert the_pod(told, "wp-1").services[made.key] == made.ports


@pytest.mark.parametrize("fields", [{"labels": {NAME: "wp"}}, {"name": "wp"}], ids=["labelled", "of its name"])
def test_a_waypoint_is_found_by_the_service_its_author_wrote(fields: dict[str, Any]) -> None:
    told = mesh(waypoint(), service(**({"name": "front"} | fields)), service("api", labels={USE: "wp"}))
    hostname = f"{fields.get('name', 'front')}.shop.svc.cluster.local"
    assert the_service(told, "api.shop.svc.cluster.local").waypoint == by_name(hostname)
    assert len(told.services) == 2


def test_a_waypoints_own_ports_are_reached_in_the_clear_unless_its_pods_say_otherwise() -> None:
    """As Istio has it: what goes through a waypoint is a tunnel anyway, its own pages are for everybody."""
    tunnel = {"networking.istio.io/tunnel": "http"}
    told = mesh(AMBIENT, waypoint(), pod("wp-1", labels={NAME: "wp"}), pod("wp-2", labels={NAME: "wp"} | tunnel))
    assert (the_pod(told, "wp-1").protocol, the_pod(told, "wp-1").native_tunnel) == (Protocol.TCP, False)
    assert (the_pod(told, "wp-2").protocol, the_pod(told, "wp-2").native_tunnel) == (Protocol.HBONE, True)


def test_an_ingress_is_no_waypoint_though_it_has_an_address() -> None:
    address, listener = GatewayAddressValue("IPAddress", "10.96.0.9"), Listener("web", 80, "HTTP")
    ingress = waypoint("in", gateway_class_name="istio", status_addresses=(address,), listeners=(listener,))
    own = {NAME: "in"}
    told = mesh(namespace(labels={USE: "wp"}), waypoint(), ingress, service("in-istio", labels=own), pod(labels=own))
    assert (the_pod(told).protocol, the_pod(told).native_tunnel) == (Protocol.TCP, False)
    assert the_service(told, "in-istio.shop.svc.cluster.local").waypoint == WP


def test_a_waypoint_behind_the_node_proxy_says_how_it_takes_connections() -> None:
    gateway = waypoint(annotations={BINDING: "PROXY/15088"})
    told = mesh(gateway, pod("wp-1", labels={NAME: "wp", "istio.io/dataplane-mode": "ambient"}))
    instance = the_pod(told, "wp-1")
    assert instance.application_tunnel == ApplicationTunnel(TunnelProtocol.PROXY, 15088)
    assert (instance.protocol, instance.native_tunnel) == (Protocol.HBONE, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PROXY", ApplicationTunnel(TunnelProtocol.PROXY)),
        ("PROXY/15088", ApplicationTunnel(TunnelProtocol.PROXY, 15088)),
        ("NONE/80", ApplicationTunnel(TunnelProtocol.NONE, 80)),
        ("NONE", ApplicationTunnel(TunnelProtocol.NONE)),
        ("HTTP/80", None),
        ("PROXY/x", None),
        ("", None),
    ],
)
def test_bindings(text: str, expected: ApplicationTunnel | None) -> None:
    assert read_binding(text) == expected


# Which waypoint an object goes through.


@pytest.mark.parametrize(
    ("namespace_labels", "labels", "expected"),
    [
        pytest.param({}, {}, None, id="nobody asked"),
        pytest.param({}, {USE: "wp"}, WP, id="its own label"),
        pytest.param({USE: "wp"}, {}, WP, id="the namespace's label"),
        pytest.param({USE: "wp"}, {USE: "none"}, None, id="opted out"),
        pytest.param({USE: "none"}, {USE: "wp"}, WP, id="its own label wins"),
        pytest.param({USE: "wp"}, {USE: "gone"}, None, id="its own label wins, though the waypoint is not there"),
        pytest.param({}, {USE: "shared", USE_NAMESPACE: "infra"}, by_name("shared.infra.svc.cluster.local", "infra"),
                     id="of another namespace"),
        pytest.param({USE: "shared", USE_NAMESPACE: "infra"}, {}, by_name("shared.infra.svc.cluster.local", "infra"),
                     id="of another namespace, by the namespace"),
        pytest.param({USE_NAMESPACE: "infra"}, {USE: "wp"}, WP, id="the namespace's labels are not mixed in"),
    ],
)  # fmt: skip
def test_which_waypoint_a_service_goes_through(
    namespace_labels: dict[str, str], labels: dict[str, str], expected: GatewayAddress | None
) -> None:
    shared = waypoint("shared", namespace="infra", listeners=(hbone_listener("All"),))
    told = mesh(namespace(labels=namespace_labels), waypoint(), shared, service(labels=labels))
    assert the_service(told).waypoint == expected


@pytest.mark.parametrize(
    ("takes", "for_service", "for_workload"),
    [(None, WP, None), ("service", WP, None), ("workload", None, WP), ("all", WP, WP), ("none", None, None)],
)
def test_what_traffic_a_waypoint_is_for(takes: str | None, for_service: object, for_workload: object) -> None:
    gateway = waypoint(labels={FOR: takes} if takes else {})
    told = mesh(namespace(labels={USE: "wp"}), gateway, service(), pod(labels={"app": "web"}))
    assert the_service(told).waypoint == for_service
    assert the_pod(told).waypoint == for_workload
    assert codes(told) == []


def test_asking_for_a_waypoint_of_other_traffic_by_name_is_told() -> None:
    told = mesh(waypoint(labels={FOR: "workload"}), service(labels={USE: "wp"}))
    assert codes(told) == ["waypoint-traffic"]


@pytest.mark.parametrize(
    ("fields", "admitted"),
    [
        pytest.param({}, False, id="Same"),
        pytest.param({"allow": "All"}, True, id="All"),
        pytest.param({"allow": "Selector", "selector": LabelSelector({"team": "a"})}, True, id="selected"),
        pytest.param({"allow": "Selector", "selector": LabelSelector({"team": "b"})}, False, id="not selected"),
    ],
)
def test_which_namespaces_may_use_a_waypoint(fields: dict[str, Any], admitted: bool) -> None:
    gateway = waypoint("shared", namespace="infra", listeners=(hbone_listener(**fields),))
    told = mesh(namespace(labels={"team": "a"}), gateway, service(labels={USE: "shared", USE_NAMESPACE: "infra"}))
    assert (the_service(told).waypoint is not None) is admitted
    assert codes(told) == ([] if admitted else ["waypoint-denied"])


def test_a_waypoint_that_is_not_there_is_told_by_everyone_who_asks_for_it() -> None:
    told = mesh(service(labels={USE: "gone"}), pod(labels={USE: "gone"}))
    assert codes(told) == ["waypoint-unknown"] * 2
    assert the_service(told).waypoint is None


def test_a_namespace_that_asks_for_a_missing_waypoint_is_told_once() -> None:
    told = mesh(namespace(labels={USE: "gone"}), service(), pod(), pod("web-2", "10.1.0.2"))
    assert [one.subject for one in told.notices] == ["Namespace shop"]


# Two waypoints of a service.

CANARY, WEIGHT = f"{USE}-canary", f"{USE}-canary-weight"
SECOND = by_name("second.shop.svc.cluster.local")


@pytest.mark.parametrize(
    ("own", "inherited", "expected", "remarks"),
    [
        pytest.param([{USE: "wp", CANARY: "second"}, {WEIGHT: "25"}], [{}, {}], (75, 25), [], id="asked for"),
        pytest.param([{USE: "wp", CANARY: "second"}, {}], [{}, {}], (100, 0), [], id="without a weight"),
        pytest.param([{USE: "wp"}, {WEIGHT: "25"}], [{}, {}], None, [], id="a weight of nothing"),
        pytest.param([{USE: "wp", CANARY: "none"}, {}], [{}, {}], None, [], id="none"),
        pytest.param([{}, {}], [{USE: "wp", CANARY: "second"}, {WEIGHT: "25"}], (75, 25), [], id="by the namespace"),
        pytest.param([{}, {WEIGHT: "50"}], [{USE: "wp", CANARY: "second"}, {WEIGHT: "25"}], (50, 50), [],
                     id="its own weight"),
        pytest.param([{USE: "wp"}, {}], [{USE: "wp", CANARY: "second"}, {WEIGHT: "25"}], None, [],
                     id="nothing inherited by its own waypoint"),
        pytest.param([{CANARY: "second"}, {WEIGHT: "25"}], [{}, {}], None, [], id="beside no waypoint"),
        pytest.param([{USE: "wp", CANARY: "wp"}, {}], [{}, {}], None, ["waypoint-canary"], id="twice the same"),
        pytest.param([{USE: "wp", CANARY: "second"}, {WEIGHT: "101"}], [{}, {}], None, ["waypoint-canary"],
                     id="more than all"),
        pytest.param([{USE: "wp", CANARY: "gone"}, {}], [{}, {}], None, ["waypoint-unknown"], id="not there"),
    ],
)  # fmt: skip
def test_a_share_may_go_through_a_second_waypoint(
    own: list[dict[str, str]], inherited: list[dict[str, str]], expected: tuple[int, int] | None, remarks: list[str]
) -> None:
    made = service(labels=own[0], annotations=own[1])
    told = mesh(namespace(labels=inherited[0], annotations=inherited[1]), waypoint(), waypoint("second"), made)
    shares = the_service(told).weighted_waypoints
    if expected is None:
        assert shares == ()
    else:
        assert shares == (WeightedWaypoint(WP, expected[0]), WeightedWaypoint(SECOND, expected[1]))
    assert codes(told) == remarks


# Who never has one.


@pytest.mark.parametrize(
    "labels",
    [
        {"gateway.istio.io/managed": "istio.io-mesh-controller"},
        {"gateway.istio.io/managed": "istio.io-eastwest-controller"},
        {NAME: "wp"},
    ],
    ids=str,
)
def test_the_service_of_a_waypoint_or_gateway_has_no_waypoint(labels: dict[str, str]) -> None:
    told = mesh(namespace(labels={USE: "wp"}), waypoint(), service("front", labels=labels))
    assert the_service(told, "front.shop.svc.cluster.local").waypoint is None


def test_the_pods_of_a_waypoint_have_no_waypoint() -> None:
    told = mesh(namespace(labels={USE: "wp"}), waypoint(labels={FOR: "all"}), pod("wp-1", labels={NAME: "wp"}), pod())
    assert the_pod(told, "wp-1").waypoint is None
    assert the_pod(told).waypoint == WP


def test_waypoints_know_the_accounts_of_their_pods() -> None:
    pods = [pod(f"wp-{n}", labels={NAME: "wp"}, service_account_name=account) for n, account in enumerate("bab")]
    assert mesh(waypoint(), *pods).waypoints["shop/wp"].service_accounts == ("a", "b")
