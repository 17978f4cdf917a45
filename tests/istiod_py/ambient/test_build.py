"""The whole conversion: what holds for any folder of manifests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from istiod_py.ambient.build import build
from istiod_py.ambient.options import AmbientOptions
from mesh_py.discovery.state import MeshState
from mesh_py.manifests.networking import EntryEndpoint
from mesh_py.manifests.objects import KubernetesObject, Manifests
from mesh_py.manifests.security import Action
from tests.istiod_py.ambient.folder import (
    ROOT,
    authorization,
    codes,
    entry,
    machine,
    mesh,
    namespace,
    peers,
    pod,
    service,
    waypoint,
)

if TYPE_CHECKING:
    import random

    from mesh_py.manifests.metadata import Metadata

NAMES = st.sampled_from(("a", "b", "c"))
SPACES = st.sampled_from(("shop", "other", ROOT))
LABELS = st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from(("x", "y")))
USE = st.sampled_from(({}, {"istio.io/use-waypoint": "a"}, {"istio.io/use-waypoint": "none"}))
MODES = st.sampled_from(("UNSET", "STRICT", "PERMISSIVE", "DISABLE"))
IPS = st.integers(1, 250).map(lambda n: f"10.1.0.{n}")
AGES = st.integers(1, 28)


@st.composite
def objects(draw: st.DrawFn) -> KubernetesObject:
    name, space, labels = draw(NAMES), draw(SPACES), draw(LABELS)
    inside: dict[str, Any] = {"namespace": space}
    match draw(st.integers(0, 7)):
        case 0:
            return namespace(space, {"istio.io/dataplane-mode": "ambient"} | draw(USE))
        case 1:
            return pod(name, draw(IPS), labels=labels | draw(USE), **inside)
        case 2:
            return service(name, draw(IPS), selector=labels, labels=draw(USE), **inside)
        case 3:
            host = draw(st.sampled_from(("api.example.com", f"a.{space}.svc.cluster.local")))
            ends = tuple(EntryEndpoint(ip) for ip in draw(st.lists(IPS, max_size=2)))
            return entry(name, host, endpoints=ends, **inside)
        case 4:
            return machine(name, draw(IPS), labels=labels, **inside)
        case 5:
            action = draw(st.sampled_from(list(Action)))
            return authorization(name, selector=draw(st.one_of(st.none(), LABELS)), action=action, **inside)
        case 6:
            ports = draw(st.dictionaries(st.sampled_from((80, 81)), MODES))
            return peers(name, draw(MODES), ports, selector=draw(st.one_of(st.none(), LABELS)), **inside)
        case _:
            return waypoint(name, labels={"istio.io/waypoint-for": draw(st.sampled_from(("service", "all")))}, **inside)


def distinct(found: list[KubernetesObject]) -> list[KubernetesObject]:
    """No name twice, as the reader of a folder makes sure; each with its own age, as a cluster gives it."""
    by_name = {(one.kind, one.metadata.namespace, one.metadata.name): one for one in found}
    return [aged(one, order) for order, one in enumerate(by_name.values())]


def aged(one: KubernetesObject, order: int) -> KubernetesObject:
    metadata: Metadata = replace(one.metadata, order=order)
    return replace(one, metadata=metadata)


FOLDERS = st.lists(objects(), max_size=25).map(distinct)
ALL_ON = AmbientOptions(send_dry_run=True, allow_waypoints=True)


@given(FOLDERS, st.randoms(use_true_random=False))
def test_the_order_of_manifests_does_not_matter(found: list[KubernetesObject], chance: random.Random) -> None:
    shuffled = list(found)
    chance.shuffle(shuffled)
    one, other = build(Manifests.of(found), ALL_ON), build(Manifests.of(shuffled), ALL_ON)
    assert one.workloads == other.workloads
    assert one.services == other.services
    assert one.policies == other.policies
    assert sorted(map(str, one.notices)) == sorted(map(str, other.notices))


@given(FOLDERS)
def test_every_name_leads_to_the_thing_of_that_name(found: list[KubernetesObject]) -> None:
    told = build(Manifests.of(found), ALL_ON)
    assert all(key == one.uid for key, one in told.workloads.items())
    assert all(key == str(one.key) for key, one in told.services.items())
    assert all(key == one.key for key, one in told.policies.items())
    assert not (told.workloads.keys() & told.services.keys())


@given(FOLDERS)
def test_every_policy_and_service_that_a_workload_names_exists(found: list[KubernetesObject]) -> None:
    told = build(Manifests.of(found), ALL_ON)
    for one in told.workloads.values():
        assert set(one.authorization_policies) <= told.policies.keys()
        assert {str(key) for key in one.services} <= told.services.keys()


@given(FOLDERS)
def test_one_service_at_most_of_each_host_name_is_canonical(found: list[KubernetesObject]) -> None:
    canonical = [one.hostname for one in build(Manifests.of(found)).services.values() if one.canonical]
    assert len(canonical) == len(set(canonical))


@given(FOLDERS)
def test_what_is_told_is_a_mesh_and_shares_itself(found: list[KubernetesObject]) -> None:
    told = build(Manifests.of(found))
    state = MeshState()
    state.replace(told.workloads.values(), told.services.values(), told.policies.values())
    again = build(Manifests.of(found)).sharing(told)
    assert all(again.workloads[key] is one for key, one in told.workloads.items())
    assert all(again.services[key] is one for key, one in told.services.items())
    assert all(again.policies[key] is one for key, one in told.policies.items())


def test_a_waypoint_is_found_by_those_who_go_through_it() -> None:
    told = mesh(
        namespace(labels={"istio.io/dataplane-mode": "ambient", "istio.io/use-waypoint": "wp"}),
        waypoint(), service(), pod("web-1", "10.1.0.1", labels={"app": "web"}),
        pod("wp-1", "10.1.0.9", labels={"gateway.networking.k8s.io/gateway-name": "wp"}),
    )  # fmt: skip
    state = MeshState()
    state.replace(told.workloads.values(), told.services.values(), told.policies.values())
    web = told.services["shop/web.shop.svc.cluster.local"]
    assert web.waypoint is not None
    found = state.find_destination(web.waypoint.destination)
    assert [uid.rpartition("/")[2] for uid in found.endpoints] == ["wp-1"]  # type: ignore[union-attr]


def test_remarks_come_once_and_in_the_order_of_the_files() -> None:
    told = mesh(
        *(pod(name, labels={"istio.io/use-waypoint": "gone"}) for name in ("b", "a")),
        authorization(action=Action.AUDIT),
    )
    assert sorted(codes(told)) == ["policy-not-sent", "waypoint-unknown", "waypoint-unknown"]
    assert [one.place for one in told.notices] == sorted(one.place for one in told.notices)


def test_nothing_is_a_mesh() -> None:
    assert build(Manifests()) == mesh()
