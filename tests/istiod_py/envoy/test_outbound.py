"""A sidecar's outbound listeners and routes."""

from __future__ import annotations

from typing import Any

from istiod_py.envoy.outbound import outbound_listeners, outbound_routes
from mesh_py.model.workload import AppProtocol, Visibility
from tests.istiod_py.envoy.meshes import ECHO, echo_service, mesh, sidecar
from tests.support import world

HTTP = {80: AppProtocol.HTTP11}


def listeners(*services: Any, **node: Any) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in outbound_listeners(mesh(*services), sidecar(**node))}


def test_http_shares_a_port_and_everything_else_has_its_address() -> None:
    found = listeners(echo_service())
    assert list(found) == ["virtualOutbound", "0.0.0.0_80", "10.2.0.1_81", "10.2.0.1_82"]
    assert all(one["bind_to_port"] is False for name, one in found.items() if name != "virtualOutbound")


def test_what_is_meant_for_15001_itself_is_dropped() -> None:
    trap, rest = listeners()["virtualOutbound"]["filter_chains"]
    assert trap["filter_chain_match"] == {"destination_port": 15001}
    assert trap["filters"][0]["typed_config"]["cluster"] == "BlackHoleCluster"
    assert rest["filters"][0]["typed_config"]["cluster"] == "PassthroughCluster"


def test_captured_by_redirection_or_with_a_preamble() -> None:
    for node, name in (({}, "original_dst"), ({"takes_proxy_protocol": True}, "proxy_protocol")):
        [found] = listeners(**node)["virtualOutbound"]["listener_filters"]
        assert found["name"] == f"envoy.filters.listener.{name}"


def test_no_port_of_the_proxys_own_is_listened_on_twice() -> None:
    service = echo_service(ports={15008: 1}, app_protocols={15008: AppProtocol.HTTP2})
    assert list(listeners(service)) == ["virtualOutbound"]
    assert outbound_routes(mesh(service), sidecar()) == {}


def test_a_sniffed_port_has_routes_of_its_own() -> None:
    found = outbound_routes(mesh(echo_service()), sidecar())
    assert list(found) == [f"{ECHO}:82", "80"]
    [host] = found[f"{ECHO}:82"]["virtual_hosts"]
    assert host["domains"] == ["*"]


def test_of_two_services_of_one_name_the_clients_own_counts() -> None:
    near = world.service("www.example.org", "10.2.0.1", namespace="default", app_protocols=HTTP)
    far = world.service("www.example.org", "10.2.0.2", namespace="shop", app_protocols=HTTP)
    hosts = outbound_routes(mesh(far, near), sidecar())["80"]["virtual_hosts"]
    domains = [one["domains"] for one in hosts]
    assert domains == [["www.example.org", "www.example.org.", "10.2.0.1"], ["10.2.0.2"], ["*"]]


def test_what_others_keep_to_themselves_is_not_seen() -> None:
    hidden = world.service("a.shop.svc", "10.2.0.2", namespace="shop", visibility=Visibility.NAMESPACE)
    assert list(listeners(hidden)) == ["virtualOutbound"]
    assert list(listeners(hidden, namespace="shop")) == ["virtualOutbound", "10.2.0.2_80"]


def test_an_explicit_proxy_tells_services_by_name_and_port() -> None:
    node = sidecar(http_proxy_port=15007)
    told = mesh(echo_service())
    assert "127.0.0.1_15007" in listeners(echo_service(), http_proxy_port=15007)
    hosts = outbound_routes(told, node)["http_proxy"]["virtual_hosts"]
    first, second = (one["domains"] for one in hosts)
    assert {f"{ECHO}:80", ECHO, "echo:80", "echo"} <= set(first)
    assert f"{ECHO}:82" in second
    assert ECHO not in second


def test_ipv6_has_its_own_wildcard() -> None:
    found = listeners(echo_service("fd00::1"), ip="fd00::9")
    assert "::_80" in found
    assert found["fd00::1_81"]["address"]["socket_address"] == {"address": "fd00::1", "port_value": 81}
    assert found["virtualOutbound"]["address"]["socket_address"]["address"] == "::"
