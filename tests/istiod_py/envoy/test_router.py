"""A gateway's ports, hosts and routes."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.router import gateway_listeners, gateway_routes
from mesh_py.manifests.core import Namespace
from mesh_py.manifests.gateway import AllowedRoutes, Listener
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.selector import LabelSelector
from tests.istiod_py.envoy.meshes import echo_service, gateway, gateway_route, mesh, router, rule

TRUSTED = Namespace(Metadata("trusted", labels={"may": "route"}))
SELECTED = AllowedRoutes("Selector", LabelSelector({"may": "route"}))


def hosts(*things: Any) -> dict[str, list[str]]:
    """The hosts of each port."""
    found = gateway_routes(mesh(echo_service(), *things), router())
    return {name: [one["domains"][0] for one in table["virtual_hosts"]] for name, table in found.items()}


def test_ports_with_http_are_listened_on() -> None:
    given = gateway(Listener("a", 80, "HTTP"), Listener("b", 80, "HTTP", "b.example"), Listener("c", 443, "HTTPS"))
    found = gateway_listeners(mesh(given), router())
    assert [one["name"] for one in found] == ["0.0.0.0_80"]


def test_a_gateway_that_nobody_described_listens_nowhere() -> None:
    assert gateway_listeners(mesh(), router()) == []


@pytest.mark.parametrize(
    ("listener", "route", "expected"),
    [
        ("", (), ["*"]),
        ("", ("a.example", "b.example"), ["a.example", "b.example"]),
        ("*.example", (), ["*.example"]),
        ("*.example", ("a.example", "a.other"), ["a.example"]),
        ("a.example", ("*.example",), ["a.example"]),
        ("*.b.example", ("*.example",), ["*.b.example"]),
        ("a.example", ("b.example",), []),
    ],
)
def test_hosts_are_those_of_both_listener_and_route(listener: str, route: tuple[str, ...], expected: list[str]) -> None:
    given = gateway(Listener("http", 80, "HTTP", listener))
    assert hosts(given, gateway_route(rule(), hostnames=route)) == {"http.80": expected}


@pytest.mark.parametrize(
    ("allowed", "namespace", "attaches"),
    [
        pytest.param(AllowedRoutes(), "default", True, id="its own namespace"),
        pytest.param(AllowedRoutes(), "trusted", False, id="another"),
        pytest.param(AllowedRoutes("All"), "trusted", True, id="all"),
        pytest.param(AllowedRoutes("None"), "default", False, id="none"),
        pytest.param(SELECTED, "trusted", True, id="labelled"),
        pytest.param(SELECTED, "default", False, id="not labelled"),
        pytest.param(AllowedRoutes(kinds=("TCPRoute",)), "default", False, id="another kind"),
    ],
)
def test_who_may_attach(allowed: AllowedRoutes, namespace: str, attaches: bool) -> None:
    given = gateway(Listener("http", 80, "HTTP", allowed_routes=allowed))
    assert hosts(given, TRUSTED, gateway_route(rule(), namespace=namespace)) == {"http.80": ["*"] * attaches}


@pytest.mark.parametrize(("section", "expected"), [("", ["*"]), ("http", ["*"]), ("other", [])])
def test_a_route_may_name_a_listener(section: str, expected: list[str]) -> None:
    given = gateway(Listener("http", 80, "HTTP"))
    assert hosts(given, gateway_route(rule(), section_name=section)) == {"http.80": expected}


def test_routes_of_one_host_stand_together() -> None:
    given = gateway(Listener("http", 80, "HTTP"))
    routes = [gateway_route(rule(f"/{name}"), name=name, hostnames=("a.example",)) for name in ("one", "second")]
    [host] = gateway_routes(mesh(given, *routes), router())["http.80"]["virtual_hosts"]
    assert [one["name"] for one in host["routes"]] == ["default.second.0", "default.one.0"]
