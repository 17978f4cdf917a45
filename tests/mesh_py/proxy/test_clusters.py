"""Which endpoint is next, who is left out for a while, and how much may be asked at once."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from mesh_py.discovery.state import MeshState
from mesh_py.http.balancing import Policy, Wish
from mesh_py.http.errors import InvalidBackend, NoHealthyEndpoint, UpstreamOverflow
from mesh_py.manifests.proxy_file import further_of, read_proxy_file
from mesh_py.model.address import IpAddress
from mesh_py.model.errors import NoHealthyUpstream
from mesh_py.model.workload import LoadBalancer, LoadBalancerMode
from mesh_py.model.workload import Protocol as TunnelProtocol
from mesh_py.proxy.clusters import Clusters
from mesh_py.proxy.directory import Destination, Directory
from mesh_py.proxy.ways import Hbone, Plain, Secured, WayRules
from tests.support.world import gateway, service, workload

if TYPE_CHECKING:
    from mesh_py.proxy.cluster import Cluster

HOST = "web.default.svc.cluster.local"
KEY = f"default/{HOST}"
SLEEP = workload("sleep", "10.0.0.1")
RULE = """\
manifests:
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: web, namespace: default}
  spec: {host: web, trafficPolicy: POLICY}
"""


class World:
    def __init__(self, policy: str = "", pods: int = 3) -> None:
        self.state = MeshState()
        for number in range(pods):
            self.state.upsert_workload(workload(f"w{number}", f"10.0.1.{number}", services={KEY: {80: 8080}}))
        self.state.upsert_service(service(HOST, "10.96.0.1"))
        self.directory = Directory(self.state, "cluster.local")
        if policy:
            self.directory.take(further_of(read_proxy_file(RULE.replace("POLICY", policy), "mesh.yaml")))
        self.clusters = Clusters(self.state, self.directory, WayRules(), Random(1).random, 60.0)

    @property
    def cluster(self) -> Cluster:
        return self.clusters.of(SLEEP, self.state.services.by_key[service(HOST).key], 80)

    def names(self, count: int, wish: Wish | None = None) -> list[str]:
        return [self.cluster.choose(0.0, wish or Wish()).name for _ in range(count)]


ALL = {f"10.0.1.{number}:8080" for number in range(3)}


def test_everybody_gets_a_share() -> None:
    assert set(World().names(60)) == ALL
    assert World().cluster.name == f"outbound|80||{HOST}"


@pytest.mark.parametrize("pods", [1, 2], ids=["one pod, one way", "the pods of a waypoint take turns by chance"])
def test_behind_a_waypoint(pods: int) -> None:
    world = World(pods=1)
    for number in range(pods):
        key = "default/gate.default.svc.cluster.local"
        world.state.upsert_workload(workload(f"gate{number}", f"10.0.2.{number}", services={key: {80: 8080}}))
    world.state.upsert_service(service("gate.default.svc.cluster.local", "10.96.0.9"))
    world.state.upsert_service(service(HOST, "10.96.0.1", waypoint=gateway("/10.96.0.9", 80)))
    picks = [world.cluster.choose(0.0) for _ in range(40)]
    assert {pick.endpoint.address[0] for pick in picks} == {f"10.0.2.{number}" for number in range(pods)}
    assert (len(set(map(id, picks))) == 1) is (pods == 1)


def test_a_change_of_the_mesh_is_seen_by_the_next_choice() -> None:
    world = World(pods=1)
    before = world.cluster.choose(0.0)
    world.state.upsert_workload(workload("w0", "10.0.1.0", services={KEY: {80: 8080}}, protocol=TunnelProtocol.TCP))
    after = world.cluster.choose(0.0)
    assert isinstance(before.endpoint.way, Hbone)
    assert isinstance(after.endpoint.way, Plain)


def test_round_robin() -> None:
    names = World("{loadBalancer: {simple: ROUND_ROBIN}}").names(6)
    assert set(names[:3]) == ALL
    assert names[:3] == names[3:]


def test_least_request_takes_the_less_busy() -> None:
    cluster = World(pods=2).cluster
    busy = cluster.choose(0.0)
    cluster.begun(busy)
    idle = {cluster.choose(0.0).name for _ in range(40)} - {busy.name}
    assert len(idle) == 1
    picks = [cluster.choose(0.0).name for _ in range(200)]
    assert picks.count(busy.name) < 80


def test_consistent_hash() -> None:
    world = World("{loadBalancer: {consistentHash: {httpHeaderName: x-user}}}")
    assert world.cluster.traffic.policy is Policy.CONSISTENT_HASH
    assert all(len(set(world.names(10, Wish(user)))) == 1 for user in ("ann", "ben", "cid"))
    assert {world.names(1, Wish(f"user {number}"))[0] for number in range(60)} == ALL


def test_who_failed_this_request_is_avoided() -> None:
    first, second, third = sorted(ALL)
    assert set(World().names(30, Wish(avoid=frozenset((first, second))))) == {third}


OUTLIERS = "{outlierDetection: {consecutive5xxErrors: 2, baseEjectionTime: 30s, maxEjectionPercent: 100}}"


def test_who_fails_again_and_again_is_left_out_for_a_while() -> None:
    world = World(OUTLIERS)
    cluster = world.cluster
    bad = cluster.choose(0.0)
    for _ in range(2):
        cluster.begun(bad)
        cluster.ended(bad, 503, now=0.0)
    assert set(world.names(60)) == ALL - {bad.name}
    assert [endpoint for host, endpoint in cluster.endpoints() if host.is_ejected] == [bad.endpoint]
    later = [cluster.choose(31.0).name for _ in range(60)]
    assert set(later) == ALL


def test_a_failure_to_connect_counts_and_an_answer_forgives() -> None:
    cluster = World(OUTLIERS).cluster
    bad = cluster.choose(0.0)
    for status in (None, 200, None):
        cluster.begun(bad)
        cluster.ended(bad, status, now=0.0)
    assert bad.host is not None
    assert not bad.host.is_ejected


def test_a_limit_on_requests() -> None:
    cluster = World("{connectionPool: {http: {http2MaxRequests: 1, maxRetries: 0}, tcp: {maxConnections: 7}}}").cluster
    pick = cluster.choose(0.0)
    cluster.begun(pick)
    with pytest.raises(UpstreamOverflow):
        cluster.begun(pick)
    assert (cluster.circuit.overflows, cluster.circuit.take_retry(), cluster.traffic.pool.connections) == (1, False, 7)
    cluster.ended(pick, 200, now=0.0)
    cluster.begun(pick)


def test_memory_outlives_changes_of_the_endpoints() -> None:
    world = World(OUTLIERS)
    cluster, bad = world.cluster, world.cluster.choose(0.0)
    for _ in range(2):
        cluster.begun(bad)
        cluster.ended(bad, None, now=0.0)
    world.state.upsert_workload(workload("w9", "10.0.1.9", services={KEY: {80: 8080}}))
    assert world.cluster is cluster
    assert set(world.names(80)) == (ALL | {"10.0.1.9:8080"}) - {bad.name}


def test_a_service_that_is_gone_is_forgotten() -> None:
    world = World()
    cluster = world.cluster
    assert world.clusters.known() == [cluster]
    other = service("other.default.svc.cluster.local", "10.96.0.9")
    world.state.upsert_service(other)
    record = world.state.services.by_key[other.key]
    world.state.remove_service(service(HOST).key)
    world.clusters.of(SLEEP, record, 80)
    assert [one.record.service.hostname for one in world.clusters.known()] == [other.hostname]


def test_nobody_serves() -> None:
    with pytest.raises(NoHealthyEndpoint):
        World(pods=0).cluster.choose(0.0)


def test_who_is_on_another_network_is_not_called_directly() -> None:
    world = World(pods=1)
    world.state.upsert_workload(workload("w0", "10.0.1.0", services={KEY: {80: 8080}}, network="far"))
    with pytest.raises(NoHealthyEndpoint):
        world.cluster.choose(0.0)
    far = Destination((IpAddress("10.0.1.0"), 8080), None, workload("far", "10.0.1.0", network="far"))
    with pytest.raises(NoHealthyUpstream):
        world.clusters.pick(SLEEP, far, 0.0)


def test_connections_to_whoever_is_meant() -> None:
    world = World()
    vip, pod, nobody = ((IpAddress(ip), 80) for ip in ("10.96.0.1", "10.0.1.1", "10.9.9.9"))
    assert world.clusters.pick(SLEEP, world.directory.destination(SLEEP, vip), 0.0).name in ALL
    itself = world.clusters.pick(SLEEP, world.directory.destination(SLEEP, pod), 0.0)
    assert itself.endpoint.address == ("10.0.1.1", 15008)
    outside = world.clusters.pick(SLEEP, world.directory.destination(SLEEP, nobody), 0.0)
    assert outside.endpoint.way == Plain(nobody)


def test_a_service_that_passes_through_keeps_the_destination() -> None:
    world = World()
    through = LoadBalancer(mode=LoadBalancerMode.PASSTHROUGH)
    world.state.upsert_service(service(HOST, "10.96.0.1", load_balancer=through))
    address = (IpAddress("10.96.0.1"), 80)
    found = world.clusters.pick(SLEEP, world.directory.destination(SLEEP, address), 0.0)
    assert found.endpoint.way == Plain(address)


# Subsets ------------------------------------------------------------------------------------------------------------

SUBSETS = """\
manifests:
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: web, namespace: default}
  spec:
    host: web
    trafficPolicy: {loadBalancer: {simple: RANDOM}}
    subsets:
    - {name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 7}}}}
    - {name: none, labels: {version: v9}}
labels: {default/w0: {version: v1}, default/w1: {version: v1, tier: a}, default/w2: {version: v2}}
"""


def subset(name: str) -> Cluster:
    world = World()
    world.directory.take(further_of(read_proxy_file(SUBSETS, "mesh.yaml")))
    return world.clusters.of(SLEEP, world.state.services.by_key[service(HOST).key], 80, name)


def test_a_subset_is_who_has_its_labels() -> None:
    cluster = subset("v1")
    assert {cluster.choose(0.0).name for _ in range(40)} == ALL - {"10.0.1.2:8080"}
    assert (cluster.name, cluster.traffic.policy, cluster.circuit.limits.max_requests) == (
        f"outbound|80|v1|{HOST}",
        Policy.RANDOM,
        7,
    )


def test_a_subset_without_endpoints() -> None:
    with pytest.raises(NoHealthyEndpoint):
        subset("none").choose(0.0)


def test_no_such_subset() -> None:
    with pytest.raises(InvalidBackend, match="subset v3"):
        subset("v3")


INSIDE = """\
- apiVersion: networking.istio.io/v1
  kind: ServiceEntry
  metadata: {name: web, namespace: default}
  spec:
    hosts: [web.default.svc.cluster.local]
    ports: [{number: 80, name: http, protocol: HTTP}]
    resolution: STATIC
    endpoints: [{address: 10.0.0.9, labels: {version: v1}}]
"""


def test_who_is_inside_a_service_entry_has_labels_of_its_own() -> None:
    world = World()
    world.directory.take(
        further_of(read_proxy_file(SUBSETS.replace("labels: {default", f"{INSIDE}labels: {{default"), "f"))
    )
    uid = "c/networking.istio.io/ServiceEntry/default/web/10.0.0.9"
    world.state.upsert_workload(workload("web", "10.0.0.9", uid=uid, services={KEY: {80: 8080}}))
    cluster = world.clusters.of(SLEEP, world.state.services.by_key[service(HOST).key], 80, "v1")
    assert set(cluster.hosts.hosts) == {"10.0.1.0:8080", "10.0.1.1:8080", "10.0.0.9:8080"}


# What a rule says of TLS, and of the last who are left --------------------------------------------------------------


def test_tls_of_ours_is_begun_on_the_way_that_there_is() -> None:
    way = World("{tls: {mode: SIMPLE, subjectAltNames: [web.example]}}").cluster.choose(0.0).endpoint.way
    assert isinstance(way, Secured)
    plain = World("{}").cluster.choose(0.0).endpoint.way
    assert type(way.way) is type(plain)
    assert (way.server_name, way.expect) == ("web.default.svc.cluster.local", ("web.example",))


def test_with_too_few_left_all_are_asked() -> None:
    rule = "{outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100, minHealthPercent: 50}}"
    cluster = World(rule).cluster
    for host in list(cluster.hosts.hosts)[:2]:
        cluster.begun(pick := cluster.choose(0.0, Wish(session=host)))
        cluster.ended(pick, 503, 0.0)
    assert {cluster.choose(0.0).name for _ in range(60)} == ALL
