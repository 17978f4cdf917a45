"""MeshState after any history of updates: every index agrees with the objects that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from mesh_py.discovery.state import MeshState
from mesh_py.model.address import NamespacedHostname
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
from tests.support.world import block, endpoint, ip, service, workload

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.96.0.1", "fd00::1")
KEYS = ("default/a.example", "default/b.example", "other/a.example")
UIDS = ("cluster//Pod/default/x", "cluster//Pod/default/y", "entry")
BLOCKS = ("10.96.0.0/16", "10.0.0.0/8", "10.96.0.1/32", "fd00::/16")

subsets = st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True)
workloads = st.builds(
    lambda uid, ips, served, health, mode, protocol: workload(
        uid, *ips, uid=uid, services={key: {} for key in served}, status=health, network_mode=mode, protocol=protocol
    ),
    st.sampled_from(UIDS),
    subsets,
    st.lists(st.sampled_from(KEYS), unique=True, max_size=2),
    st.sampled_from(HealthStatus),
    st.sampled_from(NetworkMode),
    st.sampled_from(Protocol),
)


def make_service(key: str, vips: list[str], blocks: list[str], named: list[str], policy: HealthPolicy) -> Service:
    namespace, _, hostname = key.partition("/")
    return service(
        hostname,
        *vips,
        namespace=namespace,
        cidr_vips=tuple(map(block, blocks)),
        endpoints={uid: endpoint(uid, {80: 7}) for uid in named},
        load_balancer=LoadBalancer(health_policy=policy),
        visibility=Visibility.NAMESPACE if blocks else Visibility.PUBLIC,
    )


services = st.builds(
    make_service,
    st.sampled_from(KEYS),
    subsets,
    st.lists(st.sampled_from(BLOCKS), max_size=2, unique=True),
    st.lists(st.sampled_from(UIDS), max_size=1),
    st.sampled_from(HealthPolicy),
)
Step = tuple[str, "Workload | Service | str"]
steps = st.one_of(
    st.tuples(st.just("upsert_workload"), workloads),
    st.tuples(st.just("upsert_service"), services),
    st.tuples(st.just("remove_address"), st.sampled_from(UIDS + KEYS)),
)


def after(history: list[Step]) -> tuple[MeshState, dict[str, Workload], dict[NamespacedHostname, Service]]:
    """The state after a history, and what is left by a plain reading of it."""
    state = MeshState()
    left_workloads: dict[str, Workload] = {}
    left_services: dict[NamespacedHostname, Service] = {}
    for action, thing in history:
        change: Callable[[object], object] = getattr(state, action)
        change(thing)
        if isinstance(thing, Workload):
            left_workloads[thing.uid] = thing
        elif isinstance(thing, Service):
            left_services[thing.key] = thing
        elif thing in UIDS:
            left_workloads.pop(thing, None)
        else:
            left_services.pop(NamespacedHostname.parse(thing), None)
    return state, left_workloads, left_services


@given(st.lists(steps, max_size=12))
def test_addresses_lead_to_who_has_them(history: list[Step]) -> None:
    state, left, _ = after(history)
    assert {w.uid: w for w in state.workloads} == left
    for text in ADDRESSES:
        standard = NetworkMode.STANDARD
        having = [w for w in left.values() if text in w.workload_ips and w.network_mode is standard]
        assert set(map(id, state.workloads.all_at("", ip(text)))) == set(map(id, having))
        if having:
            best = state.workloads.at("", ip(text))
            assert best is not None
            assert rank(best) == max(map(rank, having))


def rank(found: Workload) -> tuple[bool, bool]:
    return ("//Pod/" in found.uid, found.protocol is Protocol.HBONE)


@given(st.lists(steps, max_size=12))
def test_services_have_the_endpoints_that_may_serve(history: list[Step]) -> None:
    state, workloads_left, services_left = after(history)
    assert {record.service.key: record.service for record in state.services} == services_left
    attached = {(key, w.uid): w.status for w in workloads_left.values() for key in w.services}
    for key, left in services_left.items():
        known = dict.fromkeys(left.endpoints, HealthStatus.HEALTHY)
        known |= {uid: status for (of, uid), status in attached.items() if of == key}
        usable = {uid for uid, status in known.items() if status is HealthStatus.HEALTHY or left.allows_unhealthy}
        assert state.services.by_key[key].endpoints.keys() == usable
    staged = {(key, uid) for key, found in state.services.staged().items() for uid in found}
    assert staged == {(key, uid) for key, uid in attached if key not in services_left}


@given(st.lists(steps, max_size=12), st.sampled_from(["default", "other", "third"]))
def test_virtual_addresses_lead_to_visible_services(history: list[Step], namespace: str) -> None:
    state, _, left = after(history)
    for text in ADDRESSES:
        address = ip(text)
        visible = [s for s in left.values() if s.is_visible_to(namespace)]
        exact = [s for s in visible if address in [vip.ip for vip in s.vips] + host_blocks(s)]
        blocked = [s for s in visible if any(found.cidr.contains(address) for found in s.cidr_vips)]
        record = state.services.at("", address, namespace)
        candidates = exact or blocked
        assert (record is not None) is bool(candidates)
        if record is not None:
            assert record.service in candidates
            own = [s for s in candidates if s.namespace == namespace]
            assert not own or record.service in own


def host_blocks(found: Service) -> list[str]:
    return [each.cidr.ip for each in found.cidr_vips if each.cidr.is_host]
