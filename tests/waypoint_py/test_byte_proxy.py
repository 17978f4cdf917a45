"""Bytes that nobody looks into: who may send them, and where they go."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from hbone_py.identity import SpiffeId
from mesh_py.http.errors import AuthorizerDenied
from mesh_py.model.errors import PolicyDenied
from tests.support import world
from tests.waypoint_py.manifests import GATEWAY, WAY, attached, manifests, methods, policy, principals, route
from tests.waypoint_py.waypoints import HOST, PORT, V2_HOST, Addresses, waypoint
from waypoint_py.attached import find_target
from waypoint_py.byte_proxy import ByteProxy
from waypoint_py.callers import Caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.certificates import CertificateFiles
    from waypoint_py.attached import Target

    Certificates = Mapping[str, CertificateFiles]

SLEEP, OTHER = "cluster.local/ns/default/sa/sleep", "cluster.local/ns/default/sa/other"
TO_V2 = {"backendRefs": [{"name": "v2", "port": PORT}]}


class Scene:
    """A waypoint's byte proxy, asked on behalf of sleep."""

    def __init__(self, proxy: ByteProxy, at: Addresses) -> None:
        self.proxy, self.at = proxy, at
        self.caller = Caller((world.ip(at.sleep), 5555), SpiffeId("cluster.local", "default", "sleep"), None)

    def target(self, authority: str = "") -> Target:
        context = self.proxy.forwarding.context
        return find_target(context.state, context.workload, authority or f"{self.at.vip}:{PORT}")


@contextlib.asynccontextmanager
async def scene(certificates: Certificates, further: str = "") -> AsyncIterator[Scene]:
    at = Addresses()
    mesh = at.mesh(speaks="TCP", further=further)
    async with waypoint(mesh, at.waypoint, certificates["waypoint"]) as one:
        plane = one.plane
        parts: Any = SimpleNamespace(
            context=plane.context, chains=plane.chains, clusters=plane.clusters, gateway_routes=plane.gateway_routes
        )
        yield Scene(ByteProxy(cast("Any", parts)), at)


@pytest.mark.parametrize(
    ("further", "expected"),
    [
        pytest.param("", None, id="no policy"),
        pytest.param(manifests(policy(principals(SLEEP))), None, id="allowed by name"),
        pytest.param(manifests(policy(principals(OTHER))), PolicyDenied, id="another is allowed"),
        pytest.param(manifests(policy(principals(SLEEP), action="DENY")), PolicyDenied, id="denied by name"),
        pytest.param(manifests(policy(methods("GET"))), PolicyDenied, id="what only requests have allows nobody"),
        pytest.param(
            manifests(policy({}, action="CUSTOM", provider={"name": "gate"})), AuthorizerDenied, id="ask somebody"
        ),
    ],
)
async def test_who_may(certificates: Certificates, further: str, expected: type[Exception] | None) -> None:
    async with scene(certificates, further) as one:
        with pytest.raises(expected) if expected else contextlib.nullcontext():
            one.proxy.judge(one.caller, one.target())


async def test_where_they_go(certificates: Certificates) -> None:
    """To the pod that was asked for, to the service that was asked for, to where a TCPRoute leads."""
    async with scene(certificates) as one:
        by_pod, by_service = one.target(f"{one.at.v1}:{one.at.port}"), one.target()
        assert one.proxy._routed(by_pod) is by_pod.pod
        assert one.proxy._routed(by_service) is by_service.meant


async def test_a_route_leads_elsewhere(certificates: Certificates) -> None:
    async with scene(certificates, manifests(route(TO_V2, kind="TCPRoute"))) as one:
        for authority in ("", f"{one.at.v1}:{one.at.port}"):
            found = one.proxy._routed(one.target(authority))
            assert found.record is not None
            assert (found.record.service.hostname, found.port) == (V2_HOST, PORT)


async def test_a_route_of_the_gateway_leads_where_the_service_has_none(
    certificates: Certificates,
) -> None:
    shared = attached(WAY, TO_V2, kind="TCPRoute")
    own = route({"backendRefs": [{"name": "httpbin", "port": PORT}]}, kind="TCPRoute", name="own")
    for routes, expected in (((shared,), V2_HOST), ((shared, own), HOST)):
        async with scene(certificates, manifests(GATEWAY, *routes)) as one:
            found = one.proxy._routed(one.target())
            assert found.record is not None
            assert found.record.service.hostname == expected
