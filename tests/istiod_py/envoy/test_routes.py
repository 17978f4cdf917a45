"""Which HTTPRoutes count for a service's port, and what their backends come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from istiod_py.envoy.routes import backend_service, domains_of, routes_of, routes_of_service
from istiod_py.envoy.rules import Backends
from mesh_py.manifests.core import Service, ServicePort
from mesh_py.manifests.gateway import Granted, ReferenceGrant
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.references import BackendReference, ParentReference
from mesh_py.manifests.routes import GRPCMethodMatch, GRPCRoute, GRPCRouteMatch, GRPCRouteRule, HTTPRoute
from tests.istiod_py.envoy.meshes import ECHO, backend, echo_service, http_route, mesh, rule, sidecar
from tests.support import world

if TYPE_CHECKING:
    from istiod_py.envoy.mesh import EnvoyMesh

OTHER = world.service("other.shop.svc.cluster.local", "10.2.0.8", namespace="shop", name="other")


def clusters(*things: Any, port: int = 80, namespaces: tuple[str, ...] = ("default",)) -> list[tuple[str, str]]:
    """The name of each route and the cluster it leads to, or its answer."""
    service = echo_service()
    told = mesh(service, OTHER, *things)
    found = routes_of_service(told, service, port, backends(told), namespaces)
    return [(one["name"], str(one["route"]["cluster"] if "route" in one else one["direct_response"])) for one in found]


def backends(told: EnvoyMesh) -> Backends:
    """Clusters are called by service and port, and by subset where there is one."""
    return Backends(told.rules_of(sidecar()), lambda one, port, subset: f"{one.name}:{port}{subset and '/'}{subset}")


def test_without_routes_everything_goes_on() -> None:
    assert clusters() == [("default", "echo:80")]


@pytest.mark.parametrize(
    ("route", "counts"),
    [
        pytest.param(http_route(), True, id="the service"),
        pytest.param(http_route(port=80), True, id="its port"),
        pytest.param(http_route(port=81), False, id="another port"),
        pytest.param(http_route(service="else"), False, id="another service"),
        pytest.param(http_route(namespace="shop"), False, id="from a namespace that does not count"),
        pytest.param(HTTPRoute(Metadata("r", "default"), (ParentReference("echo", "default"),)), False, id="a gateway"),
    ],
)
def test_whose_route_it_is(route: HTTPRoute, counts: bool) -> None:
    assert clusters(route) == [("default.route.0" if counts else "default", "echo:80")]


def test_a_clients_own_routes_count_for_it() -> None:
    assert clusters(http_route(namespace="shop"), namespaces=("default", "shop")) == [("shop.route.0", "echo:80")]


@pytest.mark.parametrize(("section", "counts"), [("web", True), ("admin", False)])
def test_a_port_may_be_named(section: str, counts: bool) -> None:
    parent = ParentReference("echo", "default", "Service", "", section_name=section)
    route = HTTPRoute(Metadata("route", "default"), (parent,), rules=(rule(),))
    written = Service(Metadata("echo", "default"), (ServicePort(80, "web"),))
    assert (clusters(route, written) != [("default", "echo:80")]) is counts


def test_rules_of_all_routes_stand_in_one_order_the_oldest_first() -> None:
    young = http_route(rule("/a"), rule("/longer"), name="young", creation_timestamp="2026-01-02T00:00:00Z")
    old = http_route(rule("/b"), name="old", creation_timestamp="2026-01-01T00:00:00Z")
    assert [name for name, _ in clusters(young, old)] == ["default.young.1", "default.old.0", "default.young.0"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (backend("echo", 80), "echo:80"),
        (backend("echo", 99), "UnknownService"),
        (backend("echo", None), "UnknownService"),
        (backend("nobody", 80), "UnknownService"),
        (backend("echo", 80, kind="Bucket"), "UnknownService"),
        (backend(ECHO, 80, kind="Hostname", group="networking.istio.io"), "echo:80"),
    ],
)
def test_backends(reference: Any, expected: str) -> None:
    assert clusters(http_route(rule("/", reference))) == [("default.route.0", expected)]


@pytest.mark.parametrize(
    ("grants", "needed", "expected"),
    [
        pytest.param((), False, "other:80", id="inside the mesh nobody has to grant"),
        pytest.param((), True, "UnknownService", id="nobody grants"),
        pytest.param(("",), True, "other:80", id="all services"),
        pytest.param(("other",), True, "other:80", id="this service"),
        pytest.param(("else",), True, "UnknownService", id="another service"),
    ],
)
def test_backends_of_other_namespaces(grants: tuple[str, ...], needed: bool, expected: str) -> None:
    written = [
        ReferenceGrant(
            Metadata(f"g{name}", "shop"),
            (Granted("gateway.networking.k8s.io", "HTTPRoute", "default"),),
            (Granted("", "Service", name=name),),
        )
        for name in grants
    ]
    away = rule("/", backend())
    reference = BackendReference("other", "shop", port=80)
    route = http_route(rule("/", type(away.backend_refs[0])(reference)))
    told = mesh(OTHER, *written)
    [found] = routes_of(told, [route], backends(told), 80, grants_needed=needed)
    assert found["route"]["cluster"] == expected


def test_a_grpc_route_is_a_route() -> None:
    parent = ParentReference("echo", "default", "Service", "")
    match = GRPCRouteMatch(GRPCMethodMatch("pkg.Echo", "Say"))
    route = GRPCRoute(Metadata("g", "default"), (parent,), rules=(GRPCRouteRule("", (match,), (), (backend(),)),))
    assert clusters(route) == [("default.g.0", "echo:80")]


def test_a_backend_without_a_namespace_is_of_the_routes_own() -> None:
    told = mesh(OTHER)
    assert backend_service(told, BackendReference("other", port=80), "shop") is not None
    assert backend_service(told, BackendReference("other", port=80), "default") is None


def test_what_clients_may_call_a_service() -> None:
    near = domains_of(echo_service("fd00::1"), "default", "cluster.local")
    assert near == [ECHO, f"{ECHO}.", "echo.default.svc", "echo.default", "echo", "[fd00::1]"]
    assert "echo" not in domains_of(echo_service(), "shop", "cluster.local")
    www = domains_of(world.service("www.example.org"), "default", "cluster.local")
    assert www == ["www.example.org", "www.example.org."]
    assert domains_of(world.service("*.example.org"), "default", "cluster.local") == ["*.example.org"]
