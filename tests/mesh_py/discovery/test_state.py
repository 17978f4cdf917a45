"""MeshState: updates in any order, lookups and who wins a conflict (hbone-dataplane 2.6, hbone-controlplane 2.9)."""

from __future__ import annotations

from itertools import permutations

import pytest

from mesh_py.discovery.record import ServiceRecord
from mesh_py.discovery.state import Changed, MeshState, Told
from mesh_py.model.address import NamespacedHostname, NetworkAddress
from mesh_py.model.authorization import Action, Policy, Scope
from mesh_py.model.workload import (
    HealthPolicy,
    HealthStatus,
    LoadBalancer,
    NetworkMode,
    Protocol,
    Service,
    Visibility,
    Workload,
)
from tests.support.world import block, endpoint, ip, mesh, service, workload

KEY = NamespacedHostname("default", "example.com")
SERVED = {"default/example.com": {80: 8080}}
A = workload("a", "10.0.0.1", services=SERVED)
B = workload("b", "10.0.0.2", services=SERVED)
FRONT = service("example.com", "10.96.0.1")
POLICY = Policy("p", "default", Scope.NAMESPACE, Action.DENY)


def endpoints(state: MeshState) -> set[str]:
    return {uid.rpartition("/")[2] for uid in state.services.by_key[KEY].endpoints}


class TestEndpoints:
    @pytest.mark.parametrize("order", list(permutations([A, B, FRONT])))
    def test_order_does_not_matter(self, order: tuple[Workload | Service, ...]) -> None:
        assert endpoints(mesh(*order)) == {"a", "b"}

    def test_those_of_an_unknown_service_are_staged(self) -> None:
        state = mesh(A)
        assert set(state.services.staged()) == {KEY}
        state.upsert_service(FRONT)
        assert state.services.staged() == {}

    def test_a_workload_that_leaves_a_service(self) -> None:
        state = mesh(A, B, FRONT)
        state.upsert_workload(workload("a", "10.0.0.1"))
        assert endpoints(state) == {"b"}

    def test_a_workload_that_goes(self) -> None:
        state = mesh(A, B, FRONT)
        assert state.remove_workload(A.uid)
        assert not state.remove_workload(A.uid)
        assert endpoints(state) == {"b"}

    def test_a_service_update_keeps_them(self) -> None:
        state = mesh(A, FRONT)
        state.upsert_service(service("example.com", "10.96.0.2"))
        assert endpoints(state) == {"a"}
        assert state.services.at("", ip("10.96.0.1")) is None
        assert state.services.at("", ip("10.96.0.2")) is not None

    def test_a_service_that_comes_back_has_them_again(self) -> None:
        state = mesh(A, FRONT)
        assert state.remove_service(KEY)
        assert not state.remove_service(KEY)
        assert state.services.at("", ip("10.96.0.1")) is None
        state.upsert_service(FRONT)
        assert endpoints(state) == {"a"}

    def test_health_is_filtered_and_a_changed_policy_brings_them_back(self) -> None:
        ill = workload("a", "10.0.0.1", services=SERVED, status=HealthStatus.UNHEALTHY)
        state = mesh(ill, B, FRONT)
        assert endpoints(state) == {"b"}
        all_of_them = LoadBalancer(health_policy=HealthPolicy.ALLOW_ALL)
        state.upsert_service(service("example.com", "10.96.0.1", load_balancer=all_of_them))
        assert endpoints(state) == {"a", "b"}
        state.upsert_service(FRONT)
        assert endpoints(state) == {"b"}

    def test_a_workload_that_falls_ill_leaves_and_returns(self) -> None:
        state = mesh(A, FRONT)
        state.upsert_workload(workload("a", "10.0.0.1", services=SERVED, status=HealthStatus.UNHEALTHY))
        assert endpoints(state) == set()
        state.upsert_workload(A)
        assert endpoints(state) == {"a"}


class TestSharedWorkloadAddress:
    POD = "cluster//Pod/default/{}"
    ENTRY = "cluster/networking.istio.io/WorkloadEntry/default/{}"

    @pytest.mark.parametrize(
        ("uids", "winner"),
        [
            pytest.param([(POD, "HBONE"), (ENTRY, "HBONE")], 0, id="a pod before another kind"),
            pytest.param([(ENTRY, "HBONE"), (POD, "TCP")], 1, id="a plain pod before a tunnelled entry"),
            pytest.param([(POD, "HBONE"), (POD, "TCP")], 0, id="hbone before tcp"),
            pytest.param([(ENTRY, "TCP"), (ENTRY, "HBONE")], 1, id="hbone before tcp, not pods"),
            pytest.param([(POD, "TCP"), (POD, "TCP")], 1, id="the last of equals"),
        ],
    )
    def test_who_wins(self, uids: list[tuple[str, str]], winner: int) -> None:
        workloads = [
            workload(str(index), "10.0.0.1", uid=uid.format(index), protocol=Protocol(protocol))
            for index, (uid, protocol) in enumerate(uids)
        ]
        state = mesh(*workloads)
        assert state.workloads.at("", ip("10.0.0.1")) is workloads[winner]
        state.remove_workload(workloads[winner].uid)
        assert state.workloads.at("", ip("10.0.0.1")) is workloads[1 - winner]


class TestSharedVip:
    @staticmethod
    def seen(namespace: str | None, *services: Service) -> str | None:
        record = mesh(*services).services.at("", ip("10.96.0.1"), namespace)
        return record.service.namespace if record else None

    FIRST = service("example.com", "10.96.0.1", namespace="first")
    OTHER = service("example.com", "10.96.0.1", namespace="other")
    CANONICAL = service("example.com", "10.96.0.1", namespace="canonical", canonical=True)
    HIDDEN = service("example.com", "10.96.0.1", namespace="hidden", visibility=Visibility.NAMESPACE, canonical=True)

    @pytest.mark.parametrize(
        ("client", "expected"),
        [
            pytest.param("other", "other", id="the client's own namespace"),
            pytest.param("client", "canonical", id="else the canonical one"),
            pytest.param("hidden", "hidden", id="one for its namespace only, seen from there"),
            pytest.param(None, "canonical", id="without a namespace: the first canonical one"),
        ],
    )
    def test_who_wins(self, client: str | None, expected: str) -> None:
        assert self.seen(client, self.FIRST, self.OTHER, self.CANONICAL, self.HIDDEN) == expected

    def test_else_the_first_seen(self) -> None:
        assert self.seen("client", self.FIRST, self.OTHER) == "first"
        assert self.seen("client", self.OTHER, self.FIRST) == "other"

    def test_hidden_from_others(self) -> None:
        assert self.seen("client", self.HIDDEN) is None

    def test_the_same_for_host_names(self) -> None:
        services = mesh(self.FIRST, self.CANONICAL, self.HIDDEN).services
        found = [services.named("example.com", client) for client in ("first", "client", "hidden")]
        assert [record.service.namespace for record in found if record] == ["first", "canonical", "hidden"]

    def test_one_goes_and_the_other_stays(self) -> None:
        state = mesh(self.FIRST, self.OTHER)
        state.remove_service(self.FIRST.key)
        record = state.services.at("", ip("10.96.0.1"), "client")
        assert record is not None
        assert record.service is self.OTHER


class TestLookups:
    def test_an_address_is_a_workload_first(self) -> None:
        both = service("example.com", "10.0.0.1")
        state = mesh(A, both)
        assert state.find_address("", ip("10.0.0.1")) is A
        assert isinstance(mesh(both).find_address("", ip("10.0.0.1")), ServiceRecord)

    def test_a_host_name_is_a_service_first(self) -> None:
        named = workload("n", hostname="example.com")
        assert isinstance(mesh(named, FRONT).find_hostname(KEY), ServiceRecord)
        assert mesh(named).find_hostname(KEY) is named
        assert mesh(named).find_hostname(NamespacedHostname("other", "example.com")) is None

    def test_networks_are_apart(self) -> None:
        remote = workload("r", "10.0.0.1", network="remote")
        state = mesh(A, remote)
        assert state.find_destination(NetworkAddress("remote", ip("10.0.0.1"))) is remote
        assert state.find_destination(NetworkAddress("", ip("10.0.0.1"))) is A
        assert state.find_destination(NetworkAddress("third", ip("10.0.0.1"))) is None

    def test_host_network_is_not_found_by_address(self) -> None:
        host = workload("h", "10.0.0.1", network_mode=NetworkMode.HOST_NETWORK)
        state = mesh(host)
        assert state.find_address("", ip("10.0.0.1")) is None
        assert state.remove_workload(host.uid)

    def test_the_local_workload_is_found_by_name_and_address(self) -> None:
        elsewhere = workload("a", "10.0.0.7", uid="elsewhere", node="node-b")
        state = mesh(elsewhere, A, node="node-a")
        assert state.find_local_workload("a", "default", "a") is A
        assert state.find_local_address(ip("10.0.0.1")) is A
        assert state.find_local_address(ip("10.0.0.7")) is None
        assert state.find_local_workload("a", "default", "other") is None
        assert mesh(elsewhere).find_local_address(ip("10.0.0.7")) is elsewhere

    def test_the_services_of_a_workload(self) -> None:
        naming = service("naming.com", endpoints={A.uid: endpoint(A.uid)})
        records = mesh(A, FRONT, naming).services_of(A)
        assert [record.service.hostname for record in records] == ["example.com", "naming.com"]
        assert mesh(A).services_of(A) == []

    def test_blocks_come_after_exact_addresses(self) -> None:
        wide = service("wide.com", cidr_vips=(block("10.96.0.0/16"),))
        found = mesh(wide, FRONT).services
        assert [r.service.hostname for r in (found.at("", ip("10.96.0.1")), found.at("", ip("10.96.0.2"))) if r] == [
            "example.com",
            "wide.com",
        ]


class TestRemovalByName:
    def test_a_uid_before_a_service(self) -> None:
        confusing = workload("w", "10.0.0.1", uid="default/example.com")
        state = mesh(confusing, FRONT)
        assert state.remove_address("default/example.com")
        assert KEY in state.services.by_key
        assert state.remove_address("default/example.com")
        assert KEY not in state.services.by_key
        assert not state.remove_address("default/example.com")
        assert not state.remove_address("no-slash")


class TestChanges:
    def test_every_change_has_a_version_and_is_told(self) -> None:
        state = MeshState()
        told: list[int] = []
        stop = state.watch(lambda: told.append(state.version))
        state.upsert_workload(A)
        state.upsert_service(FRONT)
        state.upsert_policy(POLICY)
        assert state.remove_policy(POLICY.key)
        assert not state.remove_policy(POLICY.key)
        assert state.remove_service(KEY)
        assert not state.remove_service(KEY)
        state.expect_policies("theirs")
        assert told == [1, 2, 3, 4, 5, 6]
        stop()
        state.remove_workload(A.uid)
        assert (told, state.version) == ([1, 2, 3, 4, 5, 6], 7)

    def test_a_batch_is_one_change(self) -> None:
        state = MeshState()
        told: list[int] = []
        state.watch(lambda: told.append(state.version))
        with state.batch():
            state.upsert_workload(A)
            with state.batch():
                state.upsert_workload(B)
            state.upsert_service(FRONT)
            assert endpoints(state) == {"a", "b"}
        with state.batch():
            state.remove_policy("nothing/there")
        assert told == [1]

    def test_replacing_touches_what_differs(self) -> None:
        state = MeshState()
        assert state.replace([A, B], [FRONT], [POLICY]) == Changed(2, 1, 1)
        assert state.replace([A, B], [FRONT], [POLICY]) == Changed(0, 0, 0)
        assert state.version == 1
        moved = workload("b", "10.0.0.9", services=SERVED)
        assert state.replace([moved], [FRONT], []) == Changed(2, 0, 1)
        assert endpoints(state) == {"b"}
        assert list(state.workloads) == [moved]
        assert len(state.policies) == 0
        assert state.replace([], [service("example.com")], []) == Changed(1, 1, 0)
        assert state.replace([], [], []) == Changed(0, 1, 0)
        assert (len(state.workloads), len(state.services)) == (0, 0)

    def test_one_of_several_sources_replaces_its_own_only(self) -> None:
        state = mesh(A, FRONT, POLICY)
        mine = Told(frozenset({B.uid}), frozenset(), frozenset())
        assert state.replace([B], [], [], before=Told()) == Changed(1, 0, 0)
        assert state.replace([], [], [], before=mine) == Changed(1, 0, 0)
        assert list(state.workloads) == [A]
        assert (len(state.services), len(state.policies)) == (1, 1)

    def test_policies_that_are_expected_are_missed_by_everybody_until_they_are_known(self) -> None:
        state = mesh(A)
        state.expect_policies("theirs")
        assert state.policies.applicable(A).missing == ("theirs",)
        version = state.version
        state.policies_known()
        assert state.policies.applicable(A).missing == ()
        assert state.version == version + 1
        state.policies_known()
        assert state.version == version + 1

    @pytest.mark.parametrize(
        ("change", "matters"),
        [
            pytest.param(lambda state: state.upsert_policy(POLICY), True, id="a policy"),
            pytest.param(lambda state: state.upsert_workload(workload("n")), True, id="a new workload of ours"),
            pytest.param(lambda state: state.upsert_workload(A), True, id="a workload of ours, changed"),
            pytest.param(
                lambda state: state.upsert_workload(workload("a", node="other")), True, id="a workload that left us"
            ),
            pytest.param(lambda state: state.remove_workload(A.uid), True, id="a workload of ours, gone"),
            pytest.param(lambda state: state.upsert_workload(workload("n", node="other")), False, id="of another node"),
            pytest.param(lambda state: state.upsert_service(FRONT), False, id="a service"),
        ],
    )
    def test_which_changes_may_alter_verdicts(self, change, matters: bool) -> None:
        state = mesh(A, node="node-a")
        before = state.verdict_version
        change(state)
        assert (state.verdict_version != before) is matters
