"""Routes attached to the waypoint's Gateway or to a ServiceEntry: who gets the request, by the applications' record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.waypoint_py.manifests import GATEWAY, WAY, attached, backend, manifests, route
from tests.waypoint_py.waypoints import HOST, PORT, scene
from waypoint_py.route_status import route_statuses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.certificates import CertificateFiles
    from tests.waypoint_py.waypoints import Scene

    Certificates = Mapping[str, CertificateFiles]


def to(name: str, path: str = "/", **more: Any) -> dict[str, Any]:
    return {"matches": [{"path": {"value": path}}], "backendRefs": [backend(name, **more)]}


async def served(one: Scene, path: str = "/anything") -> str:
    """By which version, or the status."""
    before = len(one.v1.calls("token")), len(one.v2.calls("token"))
    answer = await one.http.get(f"{path}?t=token")
    after = len(one.v1.calls("token")), len(one.v2.calls("token"))
    found = "".join(name for name, x, y in zip(("v1", "v2"), before, after, strict=True) if y > x)
    return found if answer.status_code == 200 else str(answer.status_code)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        pytest.param([attached(WAY, to("v2"))], "v2", id="the Gateway's"),
        pytest.param([attached(WAY, to("v2"), hosts=(HOST,))], "v2", id="for the host"),
        pytest.param([attached(WAY, to("v2"), hosts=("*.svc.cluster.local",))], "v2", id="for hosts like it"),
        pytest.param([attached(WAY, to("v2"), hosts=("other.example",))], "v1", id="for another: plainly on"),
        pytest.param([attached(WAY, to("v2", "/other"))], "404", id="for the host, and nothing matches"),
        pytest.param(
            [attached(WAY, to("httpbin")), attached(WAY, to("v2"), hosts=(HOST,), name="b")],
            "v2",
            id="the narrower host first",
        ),
        pytest.param(
            [attached(WAY, to("httpbin", "/any")), attached(WAY, to("v2", "/anything"), name="b")],
            "v2",
            id="the longer path first",
        ),
        pytest.param([attached(WAY, to("v2")), route(to("httpbin"))], "v1", id="the service's before the Gateway's"),
        pytest.param(
            [attached(WAY, to("v2")), route(to("httpbin", "/other"))],
            "v2",
            id="the Gateway's where the service's fail",
        ),
        pytest.param([attached(WAY | {"name": "other"}, to("v2"))], "v1", id="another Gateway's"),
        pytest.param([attached(WAY | {"sectionName": "none"}, to("v2"))], "v1", id="a listener that is not there"),
        pytest.param([attached(WAY, to("none"))], "500", id="no backend"),
    ],
)
async def test_who_gets_the_request(certificates: Certificates, routes: list[dict[str, Any]], expected: str) -> None:
    async with scene(certificates, manifests(GATEWAY, *routes)) as one:
        assert await served(one) == expected


GRANT = {
    "apiVersion": "gateway.networking.k8s.io/v1beta1",
    "kind": "ReferenceGrant",
    "metadata": {"name": "g", "namespace": "far"},
    "spec": {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}],
        "to": [{"group": "", "kind": "Service"}],
    },
}


@pytest.mark.parametrize(("grants", "expected"), [([], "500"), ([GRANT], "v2")])
async def test_a_backend_of_another_namespace_needs_a_grant(
    certificates: Certificates, grants: list[dict[str, Any]], expected: str
) -> None:
    further = manifests(GATEWAY, attached(WAY, to("v2", namespace="far")), *grants)
    async with scene(certificates, further) as one:
        moved = one.at.mesh(further=further).replace("{name: v2, namespace: default,", "{name: v2, namespace: far,")
        one.waypoint.take(moved.replace("v2.default.svc", "v2.far.svc").replace('"default/v2.far', '"far/v2.far'))
        assert await served(one) == expected


async def test_an_entry_s_own(certificates: Certificates) -> None:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "httpbin", "namespace": "default"},
        "spec": {"hosts": ["api.example"], "ports": [{"number": PORT, "name": "http"}], "resolution": "STATIC"},
    }
    parent = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "httpbin"}
    for named, expected in (({}, "v2"), ({"sectionName": "http"}, "v2"), ({"sectionName": "tls"}, "v1")):
        further = manifests(entry, attached(parent | named, to("v2")))
        async with scene(certificates, further) as one:
            one.waypoint.take(one.at.mesh(further=further).replace(HOST, "api.example"))
            assert await served(one) == expected


async def test_what_is_told_of_each(certificates: Certificates) -> None:
    routes = [
        attached(WAY, to("v2"), name="taken"),
        attached(WAY | {"port": 80}, to("v2"), name="port"),
        attached(WAY, to("none"), to("v2", namespace="far"), name="nowhere"),
        route(to("v2"), name="own"),
        attached(WAY | {"name": "other"}, to("v2"), name="elsewhere"),
    ]
    async with scene(certificates, manifests(GATEWAY, *routes)) as one:
        plane = one.waypoint.plane
        found = route_statuses(plane.context, plane.gateway_routes.gateway)
        told = {row["route"].partition("/")[2]: (row["accepted"], row["reason"]) for row in found}
        assert told == {
            "taken": (True, "Accepted"),
            "port": (False, "NoMatchingParent"),
            "nowhere": (True, "Accepted"),
            "own": (True, "Accepted"),
        }
        [backends] = [row["backends"] for row in found if row["route"].endswith("nowhere")]
        assert [row["reason"] for row in backends] == ["BackendNotFound", "RefNotPermitted"]
