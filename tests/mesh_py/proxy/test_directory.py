"""What the mesh says of a destination: by address, by host, by a route's backend."""

from __future__ import annotations

import pytest

from mesh_py.discovery.state import MeshState
from mesh_py.http.errors import InvalidBackend
from mesh_py.manifests.proxy_file import further_of, read_proxy_file
from mesh_py.manifests.references import BackendReference
from mesh_py.model.address import IpAddress
from mesh_py.model.workload import AppProtocol, Visibility
from mesh_py.proxy.directory import Destination, Directory, host_of
from tests.support.world import service, workload

SLEEP = workload("sleep", "10.0.0.1")
WEB = "web.default.svc.cluster.local"
FAR = "far.other.svc.cluster.local"
OUTSIDE = "api.example.com"
ANYWHERE = Destination((IpAddress("10.9.9.9"), 80))


@pytest.fixture
def directory() -> Directory:
    state = MeshState()
    state.upsert_workload(SLEEP)
    state.upsert_service(service(WEB, "10.96.0.1", app_protocols={80: AppProtocol.HTTP11}))
    state.upsert_service(service(FAR, "10.96.0.2", namespace="other"))
    state.upsert_service(service("hidden.other.svc.cluster.local", namespace="other", visibility=Visibility.NAMESPACE))
    state.upsert_service(service(OUTSIDE, "10.96.0.3"))
    return Directory(state, "cluster.local")


def test_by_address(directory: Directory) -> None:
    found = directory.destination(SLEEP, (IpAddress("10.96.0.1"), 80))
    assert found.record is not None
    assert (found.record.service.hostname, found.app_protocol, found.is_known) == (WEB, AppProtocol.HTTP11, True)
    itself = directory.destination(SLEEP, (IpAddress("10.0.0.1"), 8080))
    assert (itself.record, itself.workload, itself.app_protocol) == (None, SLEEP, AppProtocol.UNKNOWN)
    assert not directory.destination(SLEEP, ANYWHERE.address).is_known


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        pytest.param(WEB, WEB, id="in full"),
        pytest.param(f"{WEB}:80", WEB, id="with its port"),
        pytest.param("WEB.default", WEB, id="without case"),
        pytest.param("web", WEB, id="of our own namespace"),
        pytest.param("web.default.svc", WEB, id="as a service"),
        pytest.param("far.other", FAR, id="of another namespace"),
        pytest.param("far", None, id="another namespace's, short"),
        pytest.param("hidden.other", None, id="one that we may not see"),
        pytest.param(OUTSIDE, OUTSIDE, id="outside"),
        pytest.param("api", None, id="no short name for those outside"),
        pytest.param("[fd00::1]:80", None, id="an address"),
    ],
)
def test_by_host(directory: Directory, authority: str, expected: str | None) -> None:
    found = directory.by_host(SLEEP, authority, ANYWHERE)
    assert (found.record.service.hostname if found.record else None) == expected
    assert found.address == ANYWHERE.address


def test_a_host_without_the_port_that_was_dialled_is_not_meant(directory: Directory) -> None:
    near = Destination((IpAddress("10.9.9.9"), 81))
    assert directory.by_host(SLEEP, WEB, near) is near


MANIFESTS = """\
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: r, namespace: default}
  spec: {parentRefs: [{kind: Service, group: "", name: web, port: 80}]}
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: d, namespace: default}
  spec: {host: web}
"""


def test_routes_are_kept_until_something_changes(directory: Directory) -> None:
    record = directory.destination(SLEEP, (IpAddress("10.96.0.1"), 80)).record
    assert record is not None
    assert not directory.routes(SLEEP, record, 80)
    further = further_of(read_proxy_file(MANIFESTS, "mesh.yaml"))
    directory.take(further)
    routes = directory.routes(SLEEP, record, 80)
    assert routes
    assert directory.routes(SLEEP, record, 80) is routes
    assert not directory.routes(SLEEP, record, 81)
    assert directory.traffic(SLEEP, record) is further.manifests.destination_rules[0]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        pytest.param(BackendReference("web", "default"), WEB, id="its own namespace's"),
        pytest.param(BackendReference("far", "other"), FAR, id="another namespace's, without a grant"),
        pytest.param(BackendReference("hidden", "other"), None, id="one that we may not see"),
        pytest.param(BackendReference("none", "default"), None, id="nobody"),
        pytest.param(BackendReference(OUTSIDE, "default", "Hostname"), OUTSIDE, id="by host name"),
        pytest.param(BackendReference("web", "default", "Bucket"), None, id="another kind"),
    ],
)
def test_backends(directory: Directory, reference: BackendReference, expected: str | None) -> None:
    directory.take(further_of(read_proxy_file(MANIFESTS, "mesh.yaml")))
    found = directory.backend(SLEEP, reference)
    assert (found.service.hostname if found else None) == expected


def tcp_route(*backends: str) -> str:
    return f"""\
manifests:
- apiVersion: gateway.networking.k8s.io/v1alpha2
  kind: TCPRoute
  metadata: {{name: t, namespace: default}}
  spec:
    parentRefs: [{{kind: Service, group: "", name: web, port: 80}}]
    rules: [{{backendRefs: [{", ".join(f"{{{one}}}" for one in backends)}]}}]
"""


@pytest.mark.parametrize(("dice", "expected"), [pytest.param(0.0, WEB, id="low"), pytest.param(0.9, FAR, id="high")])
def test_tcp_routes_send_connections_on(directory: Directory, dice: float, expected: str) -> None:
    text = tcp_route("name: web, port: 80, weight: 1", "name: far, namespace: other, port: 80, weight: 1")
    directory.take(further_of(read_proxy_file(text, "mesh.yaml")))
    meant = directory.destination(SLEEP, (IpAddress("10.96.0.1"), 80))
    found = directory.by_tcp_route(SLEEP, meant, lambda: dice)
    assert found.record is not None
    assert found.record.service.hostname == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(tcp_route("name: none, namespace: other, port: 80"), id="nobody"),
        pytest.param(tcp_route("name: web, port: 81"), id="no such port"),
        pytest.param(tcp_route("name: web, port: 80, weight: 0"), id="no weight"),
    ],
)
def test_tcp_routes_that_lead_nowhere(directory: Directory, text: str) -> None:
    directory.take(further_of(read_proxy_file(text, "mesh.yaml")))
    meant = directory.destination(SLEEP, (IpAddress("10.96.0.1"), 80))
    with pytest.raises(InvalidBackend):
        directory.by_tcp_route(SLEEP, meant, lambda: 0.5)


def test_no_tcp_route_no_change(directory: Directory) -> None:
    directory.take(further_of(read_proxy_file(tcp_route("name: web, port: 80"), "mesh.yaml")))
    for port, ip in ((81, "10.96.0.1"), (80, "10.96.0.3"), (80, "10.0.0.1")):
        meant = directory.destination(SLEEP, (IpAddress(ip), port))
        assert directory.by_tcp_route(SLEEP, meant, lambda: 0.5) is meant


def test_what_several_say_counts_together(directory: Directory) -> None:
    directory.expect_configuration()
    directory.take(further_of(read_proxy_file(MANIFESTS, "mesh.yaml")))
    before = directory.is_complete
    directory.take(further_of(read_proxy_file("labels: {default/web: {app: web}}", "mesh.yaml")), "control plane")
    assert (before, directory.is_complete) == (False, True)
    assert len(directory.further.manifests.http_routes) == 1
    assert directory.further.labels_of("default", "web") == {"app": "web"}


@pytest.mark.parametrize(
    ("authority", "host"),
    [("Web:80", "web"), ("web.", "web"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", "")],
)
def test_hosts(authority: str, host: str) -> None:
    assert host_of(authority) == host
