"""What routes are attached to: ports of services by number and name, listeners of a Gateway; and grants."""

from __future__ import annotations

import pytest

from mesh_py.http.attachments import (
    ACCEPTED,
    NO_MATCHING_PARENT,
    NOT_ALLOWED,
    ServicePort,
    is_gateway,
    is_granted,
    judge,
    routes_of_gateway,
    routes_of_service,
)
from mesh_py.manifests.gateway import AllowedRoutes, Gateway, Granted, Listener, ReferenceGrant
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.references import GATEWAY_GROUP, BackendReference, ParentReference
from mesh_py.manifests.routes import HTTPRoute
from mesh_py.manifests.selector import LabelSelector

ENTRY_GROUP = "networking.istio.io"
WEB = ServicePort(("Service",), "shop", "web", 80, "http")
API = ServicePort(("ServiceEntry",), "shop", "api", 443, "tls")
EITHER = ServicePort(("Service", "ServiceEntry"), "shop", "api", 443)


def to_service(name: str = "web", **more: object) -> ParentReference:
    return ParentReference(**({"namespace": "shop", "kind": "Service", "group": ""} | more), name=name)  # type: ignore[arg-type]


def route(*parents: ParentReference, namespace: str = "shop", name: str = "r") -> HTTPRoute:
    return HTTPRoute(Metadata(name, namespace), parents)


@pytest.mark.parametrize(
    ("parent", "of", "expected"),
    [
        pytest.param(to_service(), WEB, True, id="all of a service"),
        pytest.param(to_service(group="core"), WEB, True, id="the core group by its name"),
        pytest.param(to_service(port=80), WEB, True, id="its port"),
        pytest.param(to_service(port=81), WEB, False, id="another port"),
        pytest.param(to_service(section_name="http"), WEB, True, id="its port by name"),
        pytest.param(to_service(section_name="grpc"), WEB, False, id="another port by name"),
        pytest.param(to_service(section_name="http", port=81), WEB, False, id="name and number of two ports"),
        pytest.param(to_service("api"), WEB, False, id="another service"),
        pytest.param(to_service(namespace="far"), WEB, False, id="another namespace's"),
        pytest.param(to_service("api", kind="ServiceEntry", group=ENTRY_GROUP), API, True, id="a ServiceEntry"),
        pytest.param(to_service("api", kind="ServiceEntry", group=""), API, False, id="of another group"),
        pytest.param(to_service("api"), API, False, id="a Service of the entry's name"),
        pytest.param(to_service("api"), EITHER, True, id="where nobody knows which it is: a Service"),
        pytest.param(to_service("api", kind="ServiceEntry", group=ENTRY_GROUP), EITHER, True, id="or an entry"),
    ],
)
def test_parents_inside_the_mesh(parent: ParentReference, of: ServicePort, expected: bool) -> None:
    assert of.is_named_by(parent) is expected


@pytest.mark.parametrize(
    ("namespaces", "expected"),
    [(None, ["own", "client"]), (frozenset({"shop"}), ["own"]), (frozenset(), [])],
)
def test_whose_routes_count(namespaces: frozenset[str] | None, expected: list[str]) -> None:
    told = [route(to_service(), name="own"), route(to_service(), namespace="front", name="client"), route()]
    assert [one.metadata.name for one in routes_of_service(told, WEB, namespaces)] == expected


# Gateways -------------------------------------------------------------------------------------------------------------

TO_WAY = ParentReference("way", "shop")


def gateway(**allowed: object) -> Gateway:
    listener = Listener("mesh", 15008, "HBONE", allowed_routes=AllowedRoutes(**allowed))  # type: ignore[arg-type]
    return Gateway(Metadata("way", "shop"), "istio-waypoint", (listener,))


def labels_of(namespace: str) -> dict[str, str]:
    return {"team": namespace}


TEAM = LabelSelector({"team": "front"})


@pytest.mark.parametrize(
    ("parent", "of", "namespace", "reason"),
    [
        pytest.param(TO_WAY, gateway(), "shop", ACCEPTED, id="its namespace"),
        pytest.param(TO_WAY, gateway(), "front", NOT_ALLOWED, id="another"),
        pytest.param(TO_WAY, gateway(namespaces_from="All"), "front", ACCEPTED, id="all may"),
        pytest.param(TO_WAY, gateway(namespaces_from="None"), "shop", NOT_ALLOWED, id="none may"),
        pytest.param(TO_WAY, gateway(namespaces_from="Selector", selector=TEAM), "front", ACCEPTED, id="selected"),
        pytest.param(TO_WAY, gateway(namespaces_from="Selector", selector=TEAM), "shop", NOT_ALLOWED, id="left out"),
        pytest.param(TO_WAY, gateway(kinds=("GRPCRoute",)), "shop", NOT_ALLOWED, id="another kind of routes"),
        pytest.param(TO_WAY, gateway(kinds=("HTTPRoute",)), "shop", ACCEPTED, id="its kind"),
        pytest.param(ParentReference("way", "shop", section_name="mesh"), gateway(), "shop", ACCEPTED, id="listener"),
        pytest.param(
            ParentReference("way", "shop", section_name="x"), gateway(), "shop", NO_MATCHING_PARENT, id="no listener"
        ),
        pytest.param(ParentReference("way", "shop", port=15008), gateway(), "shop", ACCEPTED, id="port"),
        pytest.param(ParentReference("way", "shop", port=80), gateway(), "shop", NO_MATCHING_PARENT, id="no port"),
    ],
)
def test_listeners(parent: ParentReference, of: Gateway, namespace: str, reason: str) -> None:
    one = route(parent, namespace=namespace)
    assert is_gateway(parent, of)
    assert judge(one, parent, of, labels_of) == reason
    assert (routes_of_gateway([one], of, labels_of) == [one]) is (reason == ACCEPTED)


def test_one_listener_that_takes_it_is_enough() -> None:
    closed, opened = gateway(namespaces_from="None"), gateway()
    both = Gateway(closed.metadata, "istio-waypoint", closed.listeners + opened.listeners)
    assert judge(route(TO_WAY), TO_WAY, both, labels_of) == ACCEPTED


@pytest.mark.parametrize(
    "parent", [ParentReference("other", "shop"), ParentReference("way", "far"), to_service("way"), to_service()]
)
def test_what_is_another_parent(parent: ParentReference) -> None:
    assert not is_gateway(parent, gateway())
    assert routes_of_gateway([route(parent)], gateway(), labels_of) == []


def grant(from_: str = "HTTPRoute", namespace: str = "shop", name: str = "") -> ReferenceGrant:
    return ReferenceGrant(
        Metadata("g", "far"), (Granted(GATEWAY_GROUP, from_, namespace),), (Granted("", "Service", name=name),)
    )


GRANTS_MORE = ReferenceGrant(
    Metadata("g", "far"),
    (Granted(GATEWAY_GROUP, "TCPRoute", "shop"), Granted(GATEWAY_GROUP, "HTTPRoute", "shop")),
    (Granted("", "Secret"), Granted("", "Service", name="x"), Granted("", "Service", name="db")),
)


@pytest.mark.parametrize(
    ("backend", "grants", "expected"),
    [
        pytest.param(BackendReference("db", "shop"), [], True, id="its own namespace"),
        pytest.param(BackendReference("db", "far"), [], False, id="another"),
        pytest.param(BackendReference("db", "far"), [grant()], True, id="granted"),
        pytest.param(BackendReference("db", "far"), [grant(name="db")], True, id="granted by name"),
        pytest.param(BackendReference("db", "far"), [grant(name="x")], False, id="another is"),
        pytest.param(BackendReference("db", "far"), [grant("GRPCRoute")], False, id="to another kind"),
        pytest.param(BackendReference("db", "far"), [grant(namespace="x")], False, id="to another namespace"),
        pytest.param(BackendReference("db", "far"), [grant("GRPCRoute"), grant()], True, id="one of several grants"),
        pytest.param(BackendReference("db", "far"), [GRANTS_MORE], True, id="one of several in a grant"),
        pytest.param(BackendReference("a.example", "shop", "Hostname"), [], True, id="a host of the mesh"),
    ],
)
def test_grants(backend: BackendReference, grants: list[ReferenceGrant], expected: bool) -> None:
    assert is_granted(grants, route(), backend) is expected
