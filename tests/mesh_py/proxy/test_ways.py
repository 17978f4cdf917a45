"""How an endpoint is reached, as a table: what it takes, where its waypoint is, what the switches say."""

from __future__ import annotations

from typing import Any

import pytest

from mesh_py.discovery.load_balance import Upstream
from mesh_py.discovery.state import MeshState
from mesh_py.manifests.client_tls import ClientTls, TlsMode
from mesh_py.model.address import GatewayAddress, IpAddress, NetworkAddress
from mesh_py.model.errors import NoRoutingDestination, UnknownWaypoint
from mesh_py.model.workload import Protocol
from mesh_py.proxy.ways import Endpoint, Hbone, MutualTls, Plain, Secured, Way, WayRules, way_to
from tests.support.world import service, workload

HOST = "web.default.svc.cluster.local"
SLEEP = workload("sleep", "10.0.0.1")
GATEWAY = workload("gate", "10.0.0.9")
AT_GATE = GatewayAddress(NetworkAddress.parse("/10.0.0.9"), 15008)
NOWHERE = GatewayAddress(NetworkAddress.parse("/10.0.0.66"), 15008)
ASKED = (IpAddress("10.96.0.1"), 80)
POD = (IpAddress("10.0.0.2"), 8080)
WEB = workload("web", "10.0.0.2").identity
TODAY, SERVICE, HBONE_FIRST = WayRules("today"), WayRules("service"), WayRules("post", prefers_hbone=True)
TLS = MutualTls(POD, f"outbound_.80_._.{HOST}", (WEB,))
STRAIGHT = Hbone((POD[0], 15008), "10.0.0.2:8080", (WEB,))


def by_gate(authority: str) -> Hbone:
    return Hbone((IpAddress("10.0.0.9"), 15008), authority, (GATEWAY.identity,), is_waypoint=True)


def way(pod: dict[str, Any], of_service: dict[str, Any] | None = None, rules: WayRules | None = None) -> Way:
    state = MeshState()
    state.upsert_workload(GATEWAY)
    web = workload("web", "10.0.0.2", **pod)
    its = service(HOST, "10.96.0.1", **(of_service or {}))
    upstream = Upstream(web, 8080, its, (web.identity,))
    return way_to(state, SLEEP, upstream, ASKED, 80, rules or WayRules(), lambda: 0.0).way


@pytest.mark.parametrize(
    ("pod", "of_service", "rules", "expected"),
    [
        pytest.param({"protocol": Protocol.TCP}, {}, WayRules(), Plain(POD), id="nothing special"),
        pytest.param({}, {}, WayRules(), STRAIGHT, id="HBONE"),
        pytest.param({"protocol": Protocol.TCP, "mutual_tls": True}, {}, WayRules(), TLS, id="a sidecar"),
        pytest.param({"mutual_tls": True}, {}, WayRules(), TLS, id="both: mutual TLS"),
        pytest.param({"mutual_tls": True}, {}, HBONE_FIRST, STRAIGHT, id="both: HBONE preferred"),
        pytest.param(
            {"protocol": Protocol.TCP, "mutual_tls": True}, {}, HBONE_FIRST, TLS, id="HBONE preferred, not taken"
        ),
        pytest.param({"waypoint": AT_GATE}, {}, WayRules(), by_gate("10.0.0.2:8080"), id="its waypoint"),
        pytest.param({}, {"waypoint": AT_GATE}, WayRules(), by_gate("10.0.0.2:8080"), id="its service's"),
        pytest.param({}, {"waypoint": AT_GATE}, SERVICE, by_gate("10.96.0.1:80"), id="asking for the service"),
        pytest.param({}, {"waypoint": AT_GATE}, TODAY, STRAIGHT, id="straight past it"),
        pytest.param(
            {"protocol": Protocol.TCP}, {"waypoint": AT_GATE}, WayRules(), by_gate("10.0.0.2:8080"), id="to plain TCP"
        ),
    ],
)
def test_ways(pod: dict[str, Any], of_service: dict[str, Any], rules: WayRules, expected: Way) -> None:
    assert way(pod, of_service, rules) == expected


PLAIN_POD, SIDECAR = {"protocol": Protocol.TCP}, {"protocol": Protocol.TCP, "mutual_tls": True}


@pytest.mark.parametrize(
    ("mode", "pod", "rules", "expected"),
    [
        pytest.param(TlsMode.DISABLE, SIDECAR, WayRules(), Plain(POD), id="no TLS to a sidecar"),
        pytest.param(TlsMode.DISABLE, {}, WayRules(), STRAIGHT, id="a tunnel stays"),
        pytest.param(TlsMode.ISTIO_MUTUAL, PLAIN_POD, WayRules(), TLS, id="insisted on"),
        pytest.param(TlsMode.ISTIO_MUTUAL, {}, WayRules(), STRAIGHT, id="a tunnel will do"),
        pytest.param(TlsMode.ISTIO_MUTUAL, PLAIN_POD, WayRules(may_insist=False), Plain(POD), id="at a waypoint"),
        pytest.param(None, SIDECAR, WayRules(), TLS, id="nothing said"),
    ],
)
def test_what_a_destination_rule_says_of_tls(
    mode: TlsMode | None, pod: dict[str, Any], rules: WayRules, expected: Way
) -> None:
    assert way(pod, None, rules.heeding(mode)) == expected


def test_nothing_goes_around_a_waypoint() -> None:
    with pytest.raises(UnknownWaypoint):
        way({"waypoint": NOWHERE})


def test_a_workload_called_by_itself_has_no_server_name() -> None:
    web = workload("web", "10.0.0.2", mutual_tls=True)
    upstream = Upstream(web, 8080, None, (web.identity,))
    found = way_to(MeshState(), SLEEP, upstream, POD, 8080, WayRules(), lambda: 0.0)
    assert found.way == MutualTls(POD, "", (web.identity,))


@pytest.mark.parametrize(
    ("ips", "asked", "expected"),
    [
        pytest.param(("10.0.0.2", "fd00::2"), "10.96.0.1", "10.0.0.2", id="IPv4"),
        pytest.param(("10.0.0.2", "fd00::2"), "fd00::96", "fd00::2", id="IPv6"),
        pytest.param(("10.0.0.2",), "fd00::96", "10.0.0.2", id="what there is"),
        pytest.param(("10.0.0.2", "10.0.0.3"), "10.0.0.3", "10.0.0.3", id="the very one"),
    ],
)
def test_which_address(ips: tuple[str, ...], asked: str, expected: str) -> None:
    web = workload("web", *ips, protocol=Protocol.TCP)
    upstream = Upstream(web, 8080, None, ())
    found = way_to(MeshState(), SLEEP, upstream, (IpAddress(asked), 80), 80, WayRules(), lambda: 0.0)
    assert found.address == (expected, 8080)


def test_who_is_known_by_name_only_is_looked_up_later() -> None:
    far = workload("far", protocol=Protocol.TCP, hostname="far.example")
    found = way_to(MeshState(), SLEEP, Upstream(far, 80, None, ()), ASKED, 80, WayRules(), lambda: 0.0)
    assert found.way == Plain((IpAddress("far.example"), 80))


def test_who_has_neither_cannot_be_reached() -> None:
    upstream = Upstream(workload("lost"), 80, None, ())
    with pytest.raises(NoRoutingDestination):
        way_to(MeshState(), SLEEP, upstream, ASKED, 80, WayRules(), lambda: 0.0)


def test_endpoints_are_equal_by_way() -> None:
    assert Endpoint(Plain(POD), SLEEP) == Endpoint(Plain(POD), GATEWAY)
    assert Endpoint(Plain(POD)) != Endpoint(STRAIGHT)
    assert not Endpoint(Plain(POD)).is_mutual_tls
    assert Endpoint(STRAIGHT).is_mutual_tls
    assert Endpoint(STRAIGHT).address == ("10.0.0.2", 15008)


SIMPLE = ClientTls(TlsMode.SIMPLE)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        pytest.param(Plain(POD), Secured(Plain(POD), SIMPLE, HOST), id="on TCP"),
        pytest.param(STRAIGHT, Secured(STRAIGHT, SIMPLE, HOST), id="inside a tunnel"),
        pytest.param(by_gate("10.96.0.1:80"), by_gate("10.96.0.1:80"), id="a waypoint begins it"),
    ],
)
def test_where_tls_of_ours_begins(there: Way, expected: Way) -> None:
    endpoint = Endpoint(there).secured(SIMPLE, service(HOST, "10.96.0.1"))
    assert endpoint.way == expected
    assert (endpoint.carrier, endpoint.address) == (there, Endpoint(there).address)


def test_whom_a_request_means_is_asked_for_unless_the_rule_says_who() -> None:
    assert Secured(Plain(POD), SIMPLE, HOST).meaning("web").expect == ("web",)
    assert Secured(Plain(POD), ClientTls(TlsMode.SIMPLE, sni="a"), "a").meaning("web").server_name == "a"
    anybody = ClientTls(TlsMode.SIMPLE, insecure_skip_verify=True)
    assert Secured(Plain(POD), anybody, HOST, ("b",)).expect == ()
