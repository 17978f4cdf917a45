"""The deciders of an incoming tunnel: authority, destination, port, service (hbone-dataplane 1.4, 3.3, 3.4, 7.4)."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

import pytest

from mesh_py.discovery.inbound import (
    Authority,
    find_inbound_upstream,
    guess_service,
    parse_authority,
    validate_destination,
)
from mesh_py.model.address import HostPort
from mesh_py.model.errors import (
    BadAuthority,
    IpMismatch,
    MeshError,
    NoHostname,
    NoIpForService,
    NoPortForService,
    SelfCall,
)
from mesh_py.model.workload import (
    ApplicationTunnel,
    HealthStatus,
    TunnelProtocol,
    Visibility,
    WeightedWaypoint,
    Workload,
)
from tests.support.world import MeshObject, address, endpoint, gateway, ip, mesh, service, workload

LOCAL = ip("10.0.0.1")
ILLEGAL = frozenset({15001, 15006, 15008})
PROXY = ApplicationTunnel(TunnelProtocol.PROXY, 15088)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("10.0.0.7:8080", ("10.0.0.7", 8080), id="ipv4"),
        pytest.param("[fd00:0:0::7]:8080", ("fd00::7", 8080), id="ipv6, any spelling"),
        pytest.param(
            "[::ffff:10.0.0.7]:80",
            (str(IPv6Address("::ffff:10.0.0.7")), 80),
            id="mapped ipv4 stays ipv6, equal to no workload's",
        ),
        pytest.param("example.com:80", HostPort("example.com", 80), id="host name"),
        pytest.param("example.com:65535", HostPort("example.com", 65535), id="the last port"),
        pytest.param("1.2.3:80", HostPort("1.2.3", 80), id="not quite an address"),
    ],
)
def test_authorities(text: str, expected: Authority) -> None:
    assert parse_authority(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "10.0.0.7",
        ":80",
        "example.com:",
        "x:65536",
        "x:-1",
        "x:8o",
        "x:²",
        "fd00::7:80",
        "[fd00::7]",
        "[10.0.0.7]:80",
        "[x]:80",
        "a:b:80",
        "user@host:80",
        "host/path:80",
        "[fd00::7]80",
        "[fd00::7:80",
    ],
)
def test_bad_authorities(text: str) -> None:
    with pytest.raises(BadAuthority) as refused:
        parse_authority(text)
    assert str(refused.value) == f"no valid authority pseudo header: {text}"
    assert refused.value.status == 400


WAYPOINT = workload("waypoint", "10.0.0.1", services={"default/waypoint.svc": {15008: 15008}})
WAYPOINT_SERVICE = service("waypoint.svc", "10.96.0.9", ports={15008: 15008})
BY_VIP, BY_POD = gateway("/10.96.0.9"), gateway("/10.0.0.1")


@pytest.mark.parametrize(
    ("objects", "authority"),
    [
        pytest.param((), "10.0.0.1:80", id="its own address"),
        pytest.param((), "anything.example:80", id="a host name is judged later"),
        pytest.param((workload("pod", "10.0.0.2", waypoint=BY_POD),), "10.0.0.2:80", id="waypoint of a pod"),
        pytest.param(
            (workload("pod", "10.0.0.2", waypoint=BY_VIP),), "10.0.0.2:80", id="waypoint of a pod, by its service"
        ),
        pytest.param((service("s", "10.96.0.2", waypoint=BY_POD),), "10.96.0.2:80", id="waypoint of a service"),
        pytest.param(
            (service("s", "10.96.0.2", waypoint=gateway("default/waypoint.svc")),),
            "10.96.0.2:80",
            id="waypoint of a service, by host name",
        ),
        pytest.param(
            (service("s", "10.96.0.2", weighted_waypoints=(WeightedWaypoint(BY_VIP, 1),)),),
            "10.96.0.2:80",
            id="one of several waypoints",
        ),
    ],
)
def test_what_a_waypoint_may_be_asked_for(objects: tuple[MeshObject, ...], authority: str) -> None:
    state = mesh(WAYPOINT, WAYPOINT_SERVICE, *objects)
    validate_destination(state, LOCAL, WAYPOINT, parse_authority(authority))


@pytest.mark.parametrize(
    ("objects", "authority"),
    [
        pytest.param((), "10.0.0.2:80", id="a foreign address"),
        pytest.param((workload("pod", "10.0.0.2"),), "10.0.0.2:80", id="a pod without a waypoint"),
        pytest.param((service("s", "10.96.0.2"),), "10.96.0.2:80", id="a service without a waypoint"),
        pytest.param(
            (workload("pod", "10.0.0.2", waypoint=gateway("/10.0.0.77")),), "10.0.0.2:80", id="somebody else's pod"
        ),
        pytest.param(
            (
                service("s", "10.96.0.2", waypoint=gateway("/10.96.0.88")),
                service("other.svc", "10.96.0.88"),
                workload("other", "10.0.0.88", services={"default/other.svc": {}}),
            ),
            "10.96.0.2:80",
            id="somebody else's service",
        ),
        pytest.param(
            (service("s", "10.96.0.2", waypoint=BY_VIP), workload("pod", "10.0.0.2", services={"default/s": {}})),
            "10.0.0.2:80",
            id="a service's waypoint is not that of its pods",
        ),
        pytest.param(
            (service("s", "10.96.0.2"), workload("pod", "10.0.0.2", services={"default/s": {}}, waypoint=BY_VIP)),
            "10.96.0.2:80",
            id="a pod's waypoint is not that of its services",
        ),
        pytest.param((), "[::ffff:10.0.0.1]:80", id="its own address, mapped"),
    ],
)
def test_what_it_may_not(objects: tuple[MeshObject, ...], authority: str) -> None:
    state = mesh(WAYPOINT, WAYPOINT_SERVICE, *objects)
    asked = parse_authority(authority)
    with pytest.raises(IpMismatch) as refused:
        validate_destination(state, LOCAL, WAYPOINT, asked)
    assert str(refused.value) == f"ip mismatch: 10.0.0.1 != {asked[0]}"
    assert refused.value.status == 400


@pytest.mark.parametrize("protocol", list(TunnelProtocol))
def test_an_application_tunnel_takes_any_address(protocol: TunnelProtocol) -> None:
    sandwiched = workload("w", "10.0.0.1", application_tunnel=ApplicationTunnel(protocol))
    validate_destination(mesh(sandwiched), LOCAL, sandwiched, address("10.0.0.2:80"))


FRONT = service("example.com", "/10.96.0.1", "remote/10.97.0.1", ports={80: 8080, 443: 0})


def server(**fields: Any) -> Workload:
    given: dict[str, Any] = {"services": {"default/example.com": {}}}
    return workload("server", "10.0.0.1", **(given | fields))


@pytest.mark.parametrize(
    ("local", "authority", "dialled", "proxied"),
    [
        pytest.param(server(), "10.0.0.1:9", "10.0.0.1:9", None, id="an address: its port"),
        pytest.param(server(), "10.9.9.9:9", "10.0.0.1:9", None, id="another address: still our own is dialled"),
        pytest.param(server(), "example.com:80", "10.0.0.1:8080", None, id="a name: the service's target port"),
        pytest.param(
            server(services={"default/example.com": {80: 7070}}),
            "example.com:80",
            "10.0.0.1:7070",
            None,
            id="a name: our own port first",
        ),
        pytest.param(
            server(services={"default/example.com": {443: 8443}}, status=HealthStatus.UNHEALTHY),
            "example.com:443",
            "10.0.0.1:8443",
            None,
            id="a named port, known by the endpoint even if it is not healthy",
        ),
        pytest.param(
            server(application_tunnel=ApplicationTunnel(TunnelProtocol.NONE)),
            "10.9.9.9:9",
            "10.0.0.1:9",
            None,
            id="tunnel NONE without a port",
        ),
        pytest.param(
            server(application_tunnel=ApplicationTunnel(TunnelProtocol.NONE, 15088)),
            "10.9.9.9:9",
            "10.0.0.1:15088",
            None,
            id="tunnel NONE with a port",
        ),
        pytest.param(server(application_tunnel=PROXY), "10.9.9.9:9", "10.0.0.1:15088", "10.9.9.9:9", id="tunnel PROXY"),
        pytest.param(
            server(application_tunnel=ApplicationTunnel(TunnelProtocol.PROXY)),
            "10.9.9.9:9",
            "10.0.0.1:9",
            "10.9.9.9:9",
            id="tunnel PROXY without a port",
        ),
        pytest.param(
            server(application_tunnel=PROXY),
            "example.com:80",
            "10.0.0.1:15088",
            "10.96.0.1:80",
            id="tunnel PROXY for a name: the service's address in our network",
        ),
    ],
)
def test_what_is_dialled(local: Workload, authority: str, dialled: str, proxied: str | None) -> None:
    found = find_inbound_upstream(mesh(local, FRONT), LOCAL, local, parse_authority(authority), ILLEGAL)
    assert found.address == address(dialled)
    assert found.proxy_destination == (address(proxied) if proxied else None)
    assert [candidate.hostname for candidate in found.services] == ["example.com"]


@pytest.mark.parametrize(
    ("local", "authority", "error", "text"),
    [
        pytest.param(
            server(), "no.example:80", NoHostname, "no service or workload for hostname: no.example", id="unknown name"
        ),
        pytest.param(
            server(),
            "example.com:81",
            NoPortForService,
            "requested service example.com:81 found, but cannot resolve port",
            id="unknown port",
        ),
        pytest.param(
            server(),
            "example.com:443",
            NoPortForService,
            "requested service example.com:443 found, but cannot resolve port",
            id="a named port we do not have",
        ),
        pytest.param(
            server(),
            "10.0.0.1:15008",
            SelfCall,
            "attempted recursive call to ourselves",
            id="one of the proxy's ports",
        ),
        pytest.param(
            server(services={"default/example.com": {80: 15001}}, application_tunnel=PROXY),
            "example.com:80",
            SelfCall,
            "attempted recursive call to ourselves",
            id="one of the proxy's ports, by name, whatever the tunnel",
        ),
        pytest.param(
            server(services={"default/headless.com": {80: 8080}}, application_tunnel=PROXY),
            "headless.com:80",
            NoIpForService,
            "requested service headless.com found, but has no IP addresses",
            id="no address for the PROXY header",
        ),
    ],
)
def test_what_is_refused(local: Workload, authority: str, error: type[MeshError], text: str) -> None:
    state = mesh(local, FRONT, service("headless.com"))
    with pytest.raises(error) as refused:
        find_inbound_upstream(state, LOCAL, local, parse_authority(authority), ILLEGAL)
    assert str(refused.value) == text
    assert refused.value.status == 503


def test_names_prefer_the_namespace_of_the_workload() -> None:
    other = service("example.com", namespace="other", ports={80: 1}, canonical=True)
    hidden = service("hidden.com", namespace="other", visibility=Visibility.NAMESPACE)
    local = server()
    state = mesh(local, other, hidden, FRONT)
    found = find_inbound_upstream(state, LOCAL, local, HostPort("example.com", 80), ILLEGAL)
    assert found.address == address("10.0.0.1:8080")
    with pytest.raises(NoHostname):
        find_inbound_upstream(state, LOCAL, local, HostPort("hidden.com", 80), ILLEGAL)


FIRST = service("first.com", ports={80: 8080, 90: 0})
SECOND = service("second.com", ports={80: 8080, 443: 8443})
NAMING = service("naming.com", ports={}, endpoints={"cluster//Pod/default/server": endpoint("server", {1: 7777})})


@pytest.mark.parametrize(
    ("port", "host", "expected"),
    [
        pytest.param(8080, None, "first.com", id="the first that leads to the port"),
        pytest.param(8443, None, "second.com", id="the only one that does"),
        pytest.param(9090, None, "first.com", id="by our own port of it"),
        pytest.param(7777, None, "naming.com", id="by the port a service names for us"),
        pytest.param(8080, "second.com", "second.com", id="the one that was forwarded for"),
        pytest.param(1, "second.com", "second.com", id="forwarded for, whatever the port"),
        pytest.param(8080, "invented.com", "first.com", id="a host that is no candidate is ignored"),
        pytest.param(1234, None, None, id="nobody leads there"),
    ],
)
def test_the_service_is_guessed(port: int, host: str | None, expected: str | None) -> None:
    own = server(services={"default/first.com": {90: 9090}, "default/second.com": {}})
    found = guess_service((FIRST, SECOND, NAMING), own, port, host)
    assert (found.hostname if found else None) == expected
