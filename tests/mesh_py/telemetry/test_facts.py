"""Parties: built once per workload, and never unbounded by what peers claim."""

from __future__ import annotations

from hbone_py.baggage import Baggage
from mesh_py.model.workload import Locality, Service, Workload
from mesh_py.telemetry import facts
from mesh_py.telemetry.facts import ConnectionFacts, Parties, Party, ServiceFacts

SLEEP = Workload(
    uid="Kubernetes//Pod/default/sleep-1",
    name="sleep-1",
    namespace="default",
    trust_domain="cluster.local",
    service_account="sleep",
    workload_name="sleep",
    canonical_name="sleep-svc",
    canonical_revision="v1",
    cluster_id="Kubernetes",
    locality=Locality("r1", "z1"),
)


def test_a_workload_becomes_a_party():
    party = Party.of_workload(SLEEP)
    assert (party.name, party.workload, party.namespace) == ("sleep-1", "sleep", "default")
    assert (party.canonical_service, party.app) == ("sleep-svc", "sleep-svc")
    assert (party.canonical_revision, party.version) == ("v1", "v1")
    assert (party.cluster, party.region, party.zone) == ("Kubernetes", "r1", "z1")
    assert party.identity == "spiffe://cluster.local/ns/default/sa/sleep"


def test_baggage_names_the_app_by_its_workload():
    party = Party.of_baggage(Baggage("c", "ns", "deploy", service="svc", revision="v2", region="r", zone="z"))
    assert (party.name, party.workload, party.app) == ("svc", "deploy", "deploy")
    assert (party.canonical_service, party.canonical_revision, party.version) == ("svc", "v2", "v2")
    assert (party.namespace, party.cluster, party.region, party.zone) == ("ns", "c", "r", "z")


def test_a_long_claim_is_cut():
    party = Party.of_baggage(Baggage(workload="w" * 10_000, service="s" * 10_000))
    assert len(party.workload) == len(party.name) == facts.MAX_CLAIM


def test_one_party_per_workload_until_it_is_updated():
    parties = Parties()
    first = parties.of(SLEEP)
    assert parties.of(SLEEP) is first
    update = Workload(uid=SLEEP.uid, name="sleep-1", namespace="other")
    assert parties.of(update).namespace == "other"
    assert parties.of(update) is parties.of(update)


def test_equal_claims_share_a_party():
    parties = Parties()
    first = parties.claimed(Baggage(service="a"), "spiffe://x/ns/a/sa/b")
    assert parties.claimed(Baggage(service="a"), "spiffe://x/ns/a/sa/b") is first
    assert parties.claimed(Baggage(service="a")) is not first


def test_claims_are_kept_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(facts, "_CLAIMS_KEPT", 10)
    parties = Parties()
    for number in range(1000):
        parties.claimed(Baggage(service=str(number)))
    assert len(parties._by_claim) <= 10


def test_long_claims_are_cut_and_not_kept():
    """A peer must not choose how much memory its claims take."""
    parties = Parties()
    party = parties.claimed(Baggage(service="a" * 10_000))
    assert len(party.canonical_service) == facts.MAX_CLAIM
    assert not parties._by_claim


def test_deleted_workloads_are_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(facts, "_PARTIES_KEPT", 10)
    parties = Parties()
    for number in range(1000):
        parties.of(Workload(uid=str(number)))
    assert len(parties._by_uid) <= 10


def test_a_service_becomes_facts():
    service = Service(name="httpbin", namespace="default", hostname="httpbin.default.svc.cluster.local")
    expected = ServiceFacts("httpbin.default.svc.cluster.local", "default", "httpbin")
    assert ServiceFacts.of_service(service) == expected


def test_facts_of_the_same_parties_are_equal():
    source, destination = Party(name="a"), Party(name="b")
    facts_of_one = ConnectionFacts("source", source, destination)
    assert facts_of_one == ConnectionFacts("source", source, destination)
    assert facts_of_one != ConnectionFacts("destination", source, destination)
    assert hash(facts_of_one) == hash(ConnectionFacts("source", source, destination))
