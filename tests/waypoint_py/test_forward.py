"""Where a request may go: which HTTP is spoken there, and what a route's references must be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mesh_py.discovery.record import ServiceRecord
from mesh_py.http.errors import AuthorizerDenied
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest
from mesh_py.manifests.references import BackendReference
from mesh_py.manifests.route_filters import ExternalAuth
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.cluster import Cluster
from tests.support import world
from waypoint_py.forward import Forwarding, speaks_http2

if TYPE_CHECKING:
    from mesh_py.proxy.clusters import Clusters

CART = world.service("cart.shop.svc.cluster.local", "10.1.0.1", namespace="shop", ports={80: 8080})
GRPC = Headers([("content-type", "application/grpc+proto")])


@pytest.mark.parametrize(
    ("port_says", "client_speaks", "headers", "expected"),
    [
        (AppProtocol.HTTP11, "HTTP/2", Headers(), False),
        (AppProtocol.HTTP11, "HTTP/2", GRPC, True),
        (AppProtocol.HTTP2, "HTTP/1.1", Headers(), True),
        (AppProtocol.GRPC, "HTTP/1.1", Headers(), True),
        (None, "HTTP/1.1", Headers(), False),
        (None, "HTTP/2", Headers(), True),
    ],
)
def test_which_http_is_spoken(
    port_says: AppProtocol | None, client_speaks: str, headers: Headers, expected: bool
) -> None:
    clusters = cast("Clusters", SimpleNamespace(naming=lambda *_: "cart"))
    cluster = Cluster(clusters, world.workload("client", "10.0.0.1"), ServiceRecord(CART), 80, "")
    cluster.app_protocol = port_says or AppProtocol.UNKNOWN
    request = HttpRequest("GET", "/", "cart", headers, version=client_speaks)  # type: ignore[arg-type]
    assert speaks_http2(request, cluster) is expected


def forwarding() -> Forwarding:
    """One whose mesh has `shop/cart` with port 80."""
    record = ServiceRecord(CART)

    def backend(_: object, reference: BackendReference) -> ServiceRecord | None:
        return record if (reference.namespace, reference.name) == ("shop", "cart") else None

    context = SimpleNamespace(directory=SimpleNamespace(backend=backend), workload=None)
    nothing: Any = None
    return Forwarding(cast("Any", context), nothing, nothing, nothing, nothing, nothing, nothing)


def reference(name: str, port: int | None) -> BackendReference:
    return BackendReference(name=name, namespace="shop", port=port)


def asked(protocol: str = "HTTP", port: int | None = None, name: str = "cart") -> ExternalAuth:
    return ExternalAuth(protocol, reference(name, port), "/check", ("x-user",), ("x-told",))


@pytest.mark.parametrize(("port", "expected"), [(8443, 8443), (None, 80)])
def test_an_authorizer_that_a_route_names(port: int | None, expected: int) -> None:
    provider = forwarding().provider_of(asked(port=port), "route")
    assert (provider.name, provider.service, provider.port) == ("shop/cart", CART.hostname, expected)
    assert (provider.path_prefix, provider.include_request_headers) == ("/check", ("x-user",))
    assert provider.headers_to_upstream_on_allow == ("x-told",)


@pytest.mark.parametrize("one", [asked("GRPC"), asked(name="nobody")], ids=["of another kind", "not there"])
def test_an_authorizer_that_cannot_be_asked_lets_nobody_pass(one: ExternalAuth) -> None:
    with pytest.raises(AuthorizerDenied, match="is none that is asked over HTTP"):
        forwarding().provider_of(one, "route")
