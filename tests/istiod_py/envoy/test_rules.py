"""DestinationRules as Envoys are told them: which a proxy follows, subsets as clusters, and where routes lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from istiod_py.envoy.resources import resources_of
from istiod_py.envoy.rules import NOWHERE, Backends, Lead
from mesh_py.manifests.client_tls import ClientTls, TlsMode
from mesh_py.manifests.core import Pod
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.networking import EntryEndpoint, ServiceEntry
from mesh_py.manifests.route_filters import ExtensionFilter
from mesh_py.manifests.traffic import (
    Balancing,
    ConsistentHash,
    DestinationRule,
    LoadBalancer,
    LocalitySetting,
    OutlierDetection,
    Share,
    Subset,
    TrafficPolicy,
)
from mesh_py.model.workload import Locality
from tests.istiod_py.envoy.meshes import (
    ECHO,
    backend,
    echo_pod,
    echo_service,
    http_route,
    mesh,
    rule,
    sidecar,
    waypoint,
)
from tests.support import world

if TYPE_CHECKING:
    from istiod_py.envoy.node import EnvoyNode
    from istiod_py.envoy.resources import EnvoyResources

BY_USER = TrafficPolicy(LoadBalancer(hash=ConsistentHash(header="x-user")))
SUBSETS = (Subset("v1", {"version": "v1"}), Subset("v2", {"version": "v2"}, BY_USER))
V1, V2 = "10.1.0.2", "10.1.0.3"


def destination_rule(name: str = "rule", namespace: str = "default", **fields: Any) -> DestinationRule:
    return DestinationRule(Metadata(name, namespace), ECHO, **fields)


def versions() -> list[Any]:
    """`echo` in two versions, pods without tunnels."""
    pods = [echo_pod(ip, name) for ip, name in ((V1, "v1"), (V2, "v2"))]
    return [echo_service(), *pods, *(Pod(Metadata(one.name, "default", {"version": one.name})) for one in pods)]


def told(*things: Any, node: EnvoyNode | None = None) -> EnvoyResources:
    return resources_of(mesh(*versions(), *things), node or sidecar())


def cluster(policy: TrafficPolicy, port: int = 80, node: EnvoyNode | None = None) -> dict[str, Any]:
    """The cluster of a port under a policy."""
    found = told(destination_rule(policy=policy), node=node).clusters
    return found[f"outbound|{port}||{ECHO}"]


def addresses(assignment: dict[str, Any]) -> list[str]:
    """The pods of an assignment: each is behind a tunnel."""
    found = [one["endpoint"]["address"] for group in assignment["endpoints"] for one in group["lb_endpoints"]]
    return [one["envoy_internal_address"]["endpoint_id"].partition(":")[0] for one in found]


def test_a_subset_is_a_cluster_of_its_pods_with_its_policy() -> None:
    found = told(destination_rule(subsets=SUBSETS))
    names = {f"outbound|{port}|{subset}|{ECHO}" for port in (80, 81, 82) for subset in ("", "v1", "v2")}
    assert names <= found.clusters.keys()
    assert names <= found.endpoints.keys()
    assert [addresses(found.endpoints[f"outbound|80|{one}|{ECHO}"]) for one in ("", "v1", "v2")] == [
        [V1, V2],
        [V1],
        [V2],
    ]
    assert [found.clusters[f"outbound|80|{one}|{ECHO}"]["lb_policy"] for one in ("v1", "v2")] == [
        "LEAST_REQUEST",
        "RING_HASH",
    ]
    sockets = found.clusters[f"outbound|80|v2|{ECHO}"]["transport_socket_matches"]
    assert sockets[1]["transport_socket"]["typed_config"]["sni"] == f"outbound_.80_.v2_.{ECHO}"


def test_endpoints_inside_a_service_entry_have_labels_too() -> None:
    host = "api.example.org"
    uid = "Kubernetes/networking.istio.io/ServiceEntry/default/api/{}".format
    pods = [world.workload("api", ip, uid=uid(ip), services={f"default/{host}": {}}) for ip in (V1, V2)]
    entry = ServiceEntry(
        Metadata("api", "default"), (host,), endpoints=(EntryEndpoint(V1), EntryEndpoint(V2, labels={"version": "v2"}))
    )
    rules = DestinationRule(Metadata("api", "default"), host, subsets=SUBSETS)
    service = world.service(host, "10.2.0.9", ports={80: 8080})
    found = resources_of(mesh(service, *pods, entry, rules), sidecar())
    assert addresses(found.endpoints[f"outbound|80|v2|{host}"]) == [V2]


def test_a_waypoint_has_subsets_of_its_own() -> None:
    way = world.workload("waypoint", "10.1.0.9")
    rules = destination_rule(subsets=SUBSETS)
    pods = [one for one in versions() if one != echo_service()]
    service = echo_service(waypoint=world.gateway("/10.1.0.9"))
    found = resources_of(mesh(service, *pods, way, rules), waypoint())
    assert addresses(found.endpoints[f"inbound-vip|80|http/v2|{ECHO}"]) == [V2]
    assert f"inbound-vip|81|tcp/v2|{ECHO}" in found.clusters


def subset_filter(name: str) -> ExtensionFilter:
    return ExtensionFilter("hbone.mesh", "Subset", name)


@pytest.mark.parametrize(
    ("of_rule", "of_backend", "expected"),
    [
        pytest.param("", "", f"outbound|80||{ECHO}", id="none"),
        pytest.param("v1", "", f"outbound|80|v1|{ECHO}", id="of all backends"),
        pytest.param("v1", "v2", f"outbound|80|v2|{ECHO}", id="the backend's first"),
        pytest.param("v9", "", "UnknownService", id="one that is not there"),
    ],
)
def test_a_route_leads_to_a_subset(of_rule: str, of_backend: str, expected: str) -> None:
    filters, its = ((subset_filter(one),) if one else () for one in (of_rule, of_backend))
    found = told(destination_rule(subsets=SUBSETS), http_route(rule("/", backend(filters=its), filters=filters)))
    host = next(one for one in found.routes["80"]["virtual_hosts"] if one["name"] == f"{ECHO}:80")
    action = host["routes"][0]["route"]
    assert action["cluster"] == expected
    assert ("hash_policy" in action) is (expected == f"outbound|80|v2|{ECHO}")


def test_what_a_route_is_told_of_a_backend() -> None:
    given = mesh(*versions(), destination_rule(policy=BY_USER, subsets=SUBSETS))
    backends = Backends(given.rules_of(sidecar()), lambda service, port, subset: f"{service.name}/{port}/{subset}")
    [policy] = backends.lead(echo_service(), 80).hash_policies
    assert policy == {"header": {"header_name": "x-user"}}
    assert backends.lead(echo_service(), 80, "v1") == Lead("echo/80/v1", (policy,))
    assert backends.lead(echo_service(), 80, "v9") is NOWHERE


RANDOM = TrafficPolicy(LoadBalancer(Balancing.RANDOM))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param((), "LEAST_REQUEST", id="none"),
        pytest.param((destination_rule(policy=RANDOM),), "RANDOM", id="its own namespace's"),
        pytest.param((destination_rule(namespace="istio-system", policy=RANDOM),), "RANDOM", id="the root's"),
        pytest.param((destination_rule(namespace="shop", policy=RANDOM),), "LEAST_REQUEST", id="somebody else's"),
        pytest.param((destination_rule(policy=RANDOM, export_to=("shop",)),), "LEAST_REQUEST", id="not for it"),
        pytest.param((destination_rule(policy=RANDOM, selector={"app": "x"}),), "LEAST_REQUEST", id="not selected"),
        pytest.param((destination_rule(policy=RANDOM, selector={"app": "client"}),), "RANDOM", id="selected"),
    ],
)
def test_which_rule_it_follows(rules: tuple[DestinationRule, ...], expected: str) -> None:
    found = told(*rules, node=sidecar(labels={"app": "client"}))
    assert found.clusters[f"outbound|80||{ECHO}"]["lb_policy"] == expected


def sockets(mode: TlsMode, **fields: Any) -> list[tuple[str, str]]:
    """The kind of each socket the cluster chooses from, and what is inside a tunnel."""
    found = cluster(TrafficPolicy(tls=ClientTls(mode, **fields)))["transport_socket_matches"]
    inner = found[0]["transport_socket"]["typed_config"]["transport_socket"]["name"]
    return [("hbone", inner), *((one["name"], one["transport_socket"]["name"]) for one in found[1:])]


def test_a_rule_chooses_the_socket() -> None:
    assert sockets(TlsMode.DISABLE) == [("hbone", "raw_buffer"), ("tlsMode-disabled", "raw_buffer")]
    assert sockets(TlsMode.ISTIO_MUTUAL) == [("hbone", "raw_buffer"), ("configured", "tls")]
    assert sockets(TlsMode.SIMPLE) == [("hbone", "tls"), ("configured", "tls")]  # also inside a tunnel


def test_tls_of_the_applications_own_kind() -> None:
    tls = ClientTls(TlsMode.MUTUAL, "/a/ca.crt", "/b/tls.crt", "/b/tls.key", subject_alt_names=("echo", "spiffe://x/y"))
    socket = cluster(TrafficPolicy(tls=tls))["transport_socket_matches"][-1]["transport_socket"]["typed_config"]
    common = socket["common_tls_context"]
    assert common["alpn_protocols"] == ["http/1.1"]
    assert common["tls_certificates"][0]["watched_directory"] == {"path": "/b"}
    validation = common["validation_context"]
    assert (validation["trusted_ca"], validation["watched_directory"]) == ({"filename": "/a/ca.crt"}, {"path": "/a"})
    assert [(one["san_type"], one["matcher"]["exact"]) for one in validation["match_typed_subject_alt_names"]] == [
        ("DNS", "echo"),
        ("IP_ADDRESS", "echo"),
        ("URI", "spiffe://x/y"),
    ]


def test_a_secret_that_we_have_not_leads_to_nobody() -> None:
    found = cluster(TrafficPolicy(tls=ClientTls(TlsMode.SIMPLE, credential_name="secret")))
    assert found["type"] == "STATIC"
    assert "load_assignment" not in found


SECRET = TrafficPolicy(tls=ClientTls(TlsMode.MUTUAL, credential_name="secret"))


def test_a_secret_is_where_the_proxy_says() -> None:
    client = sidecar(credentials_folder="/c", labels={"app": "client"})
    rules = destination_rule(policy=SECRET, selector={"app": "client"})
    found = told(rules, node=client).clusters[f"outbound|80||{ECHO}"]
    common = found["transport_socket_matches"][-1]["transport_socket"]["typed_config"]["common_tls_context"]
    assert common["validation_context"]["trusted_ca"] == {"filename": "/c/secret/ca.crt"}
    assert common["tls_certificates"][0]["private_key"] == {"filename": "/c/secret/tls.key"}


@pytest.mark.parametrize("namespace", ["default", "elsewhere"])
def test_a_rule_without_a_selector_names_no_secret_of_a_sidecars(namespace: str) -> None:
    client = sidecar(credentials_folder="/c", namespace=namespace)
    found = told(destination_rule(policy=SECRET), node=client).clusters[f"outbound|80||{ECHO}"]
    assert (found["type"], "load_assignment" in found) == ("STATIC", False)


def test_near_endpoints_come_first_where_failures_are_looked_for() -> None:
    here, there = Locality("eu", "a", ""), Locality("us", "b", "")
    client = world.workload("client", "10.1.0.1", locality=here)
    pods = [echo_pod("10.1.0.2", "far", locality=there), echo_pod("10.1.0.3", "near", locality=here)]

    def groups(policy: TrafficPolicy) -> tuple[list[tuple[str, int, int]], dict[str, Any]]:
        found = resources_of(mesh(echo_service(), client, *pods, destination_rule(policy=policy)), sidecar())
        given = found.endpoints[f"outbound|80||{ECHO}"]["endpoints"]
        rows = [(one["locality"]["region"], one.get("priority", 0), one["load_balancing_weight"]) for one in given]
        return rows, found.clusters[f"outbound|80||{ECHO}"].get("common_lb_config", {})

    rows, _ = groups(TrafficPolicy(outliers=OutlierDetection()))
    assert rows == [("eu", 0, 1), ("us", 1, 1)]
    shares = LocalitySetting(distribute=(("eu/*", (Share("eu/*", 80), Share("us/*", 20))),))
    rows, common = groups(TrafficPolicy(LoadBalancer(locality=shares)))
    assert rows == [("eu", 0, 800_000), ("us", 0, 200_000)]
    assert common == {"locality_weighted_lb_config": {}}
