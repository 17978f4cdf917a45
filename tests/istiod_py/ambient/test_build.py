"""The whole conversion: what holds for any folder of manifests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from istiod_py.ambient.build import Conversion, build
from istiod_py.ambient.options import AmbientOptions
from istiod_py.ambient.vocabulary import GATEWAY_NAME
from mesh_py.discovery.state import MeshState
from mesh_py.manifests.metadata import Place
from mesh_py.manifests.networking import EntryEndpoint
from mesh_py.manifests.objects import KubernetesObject, Manifests
from mesh_py.manifests.routes import HTTPRoute
from mesh_py.manifests.security import Action
from tests.istiod_py.ambient.folder import (
    AMBIENT,
    ROOT,
    authorization,
    codes,
    entry,
    machine,
    mesh,
    meta,
    namespace,
    peers,
    pod,
    service,
    the_pod,
    waypoint,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from mesh_py.manifests.metadata import Metadata

NAMES = st.sampled_from(("a", "b", "c"))
SPACES = st.sampled_from(("shop", "other", ROOT))
LABELS = st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from(("x", "y")))
USE = st.sampled_from(({}, {"istio.io/use-waypoint": "a"}, {"istio.io/use-waypoint": "none"}))
MODES = st.sampled_from(("UNSET", "STRICT", "PERMISSIVE", "DISABLE"))
IPS = st.integers(1, 250).map(lambda n: f"10.1.0.{n}")


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


GATEWAYS = st.sampled_from(({}, {}, {GATEWAY_NAME: "a"}))
PODS = st.builds(
    lambda name, space, ip, labels, gateway, **more: pod(name, ip, labels=labels | gateway, namespace=space, **more),
    *(NAMES, SPACES, IPS, LABELS, GATEWAYS),
    ready=st.booleans(),
    service_account_name=NAMES,
)
OF_WP = {GATEWAY_NAME: "wp"}
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


def moved(one: KubernetesObject, file: str, line: int) -> KubernetesObject:
    return replace(one, metadata=replace(one.metadata, place=Place(file, line, 1)))


@st.composite
def edits(draw: st.DrawFn) -> Callable[[list[KubernetesObject]], list[KubernetesObject]]:
    """Of pods and other things, and of where they are written."""
    one = draw(st.one_of(objects(), PODS))
    number, where = draw(st.integers(0, 30)), draw(st.sampled_from(("a.yaml", "b.yaml")))
    match draw(st.integers(0, 4)):
        case 0:
            return lambda found: [*found[:number], *found[number + 1 :]]
        case 1:
            return lambda found: [moved(other, where, line) for line, other in enumerate(found, number)]
        case 2:
            return lambda found: [replace(other) for other in found]  # read again, with nothing changed
        case _:
            return lambda found: distinct([*found, one])


@given(FOLDERS, st.lists(edits(), max_size=6))
def test_what_is_made_from_the_state_before_is_what_is_made_anew(
    found: list[KubernetesObject], changes: list[Callable[[list[KubernetesObject]], list[KubernetesObject]]]
) -> None:
    before = Conversion(Manifests.of(found), ALL_ON)
    for change in changes:
        found = change(found)
        before = Conversion(Manifests.of(found), ALL_ON, before)
        assert before.mesh == build(Manifests.of(found), ALL_ON)


def entries(first: str, second: str) -> list[KubernetesObject]:
    """One host in two namespaces, whose files decide which is older."""
    return [moved(entry(namespace=space), file, 1) for space, file in (("shop", first), ("other", second))]


def waypoints_pod(account: str) -> list[KubernetesObject]:
    return [waypoint(), pod("wp-1", labels={GATEWAY_NAME: "wp"}, service_account_name=account)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(entries("a.yaml", "b.yaml"), entries("b.yaml", "a.yaml"), id="which file is the older"),
        pytest.param(waypoints_pod("one"), waypoints_pod("two"), id="who runs a waypoint"),
        pytest.param([pod("a")], [AMBIENT, pod("a")], id="the namespace of a pod"),
        pytest.param([pod("a")], [moved(pod("a"), "a.yaml", 2)], id="where a pod is written"),
    ],
)
def test_rare_reasons_to_make_it_anew(one: list[KubernetesObject], other: list[KubernetesObject]) -> None:
    after = Conversion(Manifests.of(other), ALL_ON, Conversion(Manifests.of(one), ALL_ON))
    assert after.mesh == build(Manifests.of(other), ALL_ON)


def two_pods(*others: KubernetesObject) -> Manifests:
    """One pod in each of two namespaces."""
    places = (("shop", "10.1.0.1"), ("other", "10.1.0.2"))
    pods = (pod("web", ip, labels={"app": "web"}, namespace=space) for space, ip in places)
    return Manifests.of([AMBIENT, waypoint("wp", namespace="other"), *others, *pods])


@pytest.mark.parametrize(
    ("one", "other", "converted"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([], [pod("new", "10.1.0.3")], [], id="another pod"),
        pytest.param([], [HTTPRoute(meta("route"))], [], id="a route"),
        pytest.param([service()], [service(selector={"app": "x"})], ["shop"], id="a service"),
        pytest.param([], [authorization()], ["shop"], id="a policy"),
        pytest.param([], [authorization(namespace=ROOT)], ["shop", "other"], id="everybody's policy"),
        pytest.param([], [service("wp", labels=OF_WP, namespace="other")], ["other"], id="a waypoint's service"),
        pytest.param(
            [], [service("x", labels=OF_WP, namespace="other")], ["shop", "other"], id="one that gives it another name"
        ),
        pytest.param([], [namespace("other", {})], ["shop", "other"], id="a namespace"),
    ],
)
def test_only_the_pods_that_a_change_may_concern_are_converted(
    one: list[KubernetesObject], other: list[KubernetesObject], converted: list[str]
) -> None:
    before, after = two_pods(*one), two_pods(*other)
    first = Conversion(before)
    second = Conversion(after, before=first)
    assert second.mesh == build(after)
    told = {space: [the_pod(one.mesh, "web", space) for one in (first, second)] for space in ("shop", "other")}
    assert [space for space, (then, now) in told.items() if now is not then] == converted


def test_a_pod_that_has_changed_is_converted_alone() -> None:
    around: list[KubernetesObject] = [AMBIENT, service(), authorization()]
    one, other = (pod(f"web-{number}", f"10.1.0.{number}", labels={"app": "web"}) for number in (1, 2))
    first = Conversion(Manifests.of([*around, one, other]))
    second = Conversion(Manifests.of([*around, one, replace(other, ready=False)]), before=first)
    assert [the_pod(second.mesh, name) is the_pod(first.mesh, name) for name in ("web-1", "web-2")] == [True, False]


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
