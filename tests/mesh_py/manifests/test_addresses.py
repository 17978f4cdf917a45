"""Addresses for what has none: the same tomorrow, and never moved by an edit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.manifests.addresses import Addresses, AddressRanges, RangeFullError
from mesh_py.manifests.core import Deployment, Node, Pod, PodSpec, Service
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.networking import Resolution, ServiceEntry
from mesh_py.manifests.objects import Manifests
from mesh_py.model.address import Cidr, parse_ip


def pod(name: str, *ips: str, **spec: object) -> Pod:
    return Pod(Metadata(name, "shop"), PodSpec(**spec), tuple(map(parse_ip, ips)))  # type: ignore[arg-type]


def ranges(block: str) -> AddressRanges:
    return AddressRanges(Cidr.parse(block), Cidr.parse(block), Cidr.parse(block))


def ips(manifests: Manifests) -> dict[str, tuple[str, ...]]:
    return {one.metadata.name: one.ips for one in manifests.pods}


MANY = Manifests(pods=tuple(pod(f"p{number}") for number in range(500)))


def test_the_same_folder_has_the_same_addresses_tomorrow() -> None:
    first = Addresses().complete(Manifests(pods=(pod("web"), pod("cart"))))
    assert ips(first) == {"web": ("10.244.24.150",), "cart": ("10.244.172.80",)}
    assert ips(Addresses().complete(Manifests(pods=(pod("cart"), pod("web"))))) == ips(first)


@pytest.mark.parametrize("block", ["10.0.0.0/22", "10.0.0.0/14", "fd00::/64"])
def test_all_have_one_of_their_own_in_the_range(block: str) -> None:
    found = [ip for one in Addresses(ranges(block)).complete(MANY).pods for ip in one.ips]
    assert len(set(found)) == len(MANY.pods)
    assert all(Cidr.parse(block).contains(parse_ip(ip)) for ip in found)


def test_an_edit_moves_nobody_else() -> None:
    """In a crowded range, where hashes meet."""
    addresses = Addresses(ranges("10.0.0.0/22"))
    before = ips(addresses.complete(MANY))
    others = Manifests(pods=tuple(pod(f"a{number}") for number in range(100)) + MANY.pods[::2])
    after = ips(addresses.complete(others))
    assert {name: after[name] for name in list(before)[::2]} == {name: before[name] for name in list(before)[::2]}
    assert len({ip for found in after.values() for ip in found}) == len(others.pods)


def test_addresses_that_are_written_stay_and_are_nobody_elses() -> None:
    addresses = Addresses()
    taken = ips(addresses.complete(Manifests(pods=(pod("web"),))))["web"][0]
    after = ips(addresses.complete(Manifests(pods=(pod("web"), pod("new", taken)))))
    assert after["new"] == (taken,)
    assert after["web"] != (taken,)


def test_what_left_may_come_back_to_its_address() -> None:
    addresses = Addresses()
    both = Manifests(pods=(pod("web"), pod("cart")))
    before = addresses.complete(both)
    addresses.complete(Manifests(pods=(pod("cart"),)))
    assert addresses.complete(both) == before


def test_first_and_last_address_of_a_range_are_left_alone() -> None:
    found = ips(Addresses(ranges("10.0.0.0/30")).complete(Manifests(pods=(pod("a"), pod("b")))))
    assert sorted(found.values()) == [("10.0.0.1",), ("10.0.0.2",)]


def test_a_range_that_is_full_is_an_error_and_changes_nothing() -> None:
    addresses = Addresses(ranges("10.0.0.0/30"))
    two = Manifests(pods=(pod("a"), pod("b")))
    before = addresses.complete(two)
    with pytest.raises(RangeFullError, match=r"no address left in 10.0.0.0/30 for Pod shop/c: give a larger range"):
        addresses.complete(Manifests(pods=(*two.pods, pod("c"))))
    assert addresses.complete(two) == before


def test_pods_of_deployments_are_among_the_pods() -> None:
    completed = Addresses().complete(Manifests(deployments=(Deployment(Metadata("web", "shop"), replicas=3),)))
    assert len({one.ips for one in completed.pods}) == 3


def test_an_address_written_for_a_deployments_pod_is_nobody_elses() -> None:
    [(name, taken)] = ips(Addresses().complete(Manifests(pods=(pod("web"),)))).items()
    deployment = Deployment(Metadata("d", "shop"), pod_ips=(parse_ip(taken[0]),))
    after = ips(Addresses().complete(Manifests(pods=(pod("web"),), deployments=(deployment,))))
    assert after[name] != taken
    assert taken in after.values()


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        pytest.param((Node(Metadata("n1"), (parse_ip("172.18.0.2"),)),), ("172.18.0.2",), id="its node's"),
        pytest.param((), (), id="none, if nobody knows the node"),
    ],
)
def test_a_pod_on_the_hosts_network(nodes: tuple[Node, ...], expected: tuple[str, ...]) -> None:
    manifests = Manifests(nodes=nodes, pods=(pod("a", host_network=True, node_name="n1"),))
    assert Addresses().complete(manifests).pods[0].ips == expected


def test_a_pod_that_has_ended_needs_no_address() -> None:
    ended = replace(pod("job"), phase="Succeeded")
    assert Addresses().complete(Manifests(pods=(ended,))).pods == (ended,)


SERVICE = Service(Metadata("web", "shop"))


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param(SERVICE, 1, id="without an address"),
        pytest.param(replace(SERVICE, is_headless=True), 0, id="headless"),
        pytest.param(replace(SERVICE, type="ExternalName", external_name="x.y"), 0, id="an alias"),
        pytest.param(replace(SERVICE, ip_families=("IPv6",)), 0, id="of a family that the range has not"),
        pytest.param(replace(SERVICE, ip_families=("IPv6", "IPv4")), 1, id="of both families"),
    ],
)
def test_services(service: Service, expected: int) -> None:
    [found] = Addresses().complete(Manifests(services=(service,))).services
    assert len(found.cluster_ips) == expected
    assert all(Cidr.parse("10.96.0.0/12").contains(ip) for ip in found.cluster_ips)


ENTRY = ServiceEntry(Metadata("api", "shop"), ("a.example.com", "b.example.com"), resolution=Resolution.DNS)
BLOCK = Cidr.parse("10.1.2.3")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(ENTRY, {"a.example.com", "b.example.com"}, id="every host"),
        pytest.param(replace(ENTRY, hosts=("*.example.com", "c.com")), {"c.com"}, id="no wildcard"),
        pytest.param(replace(ENTRY, addresses=(BLOCK,)), set(), id="none where addresses are written"),
        pytest.param(replace(ENTRY, resolution=Resolution.NONE), set(), id="none where nothing is resolved"),
        pytest.param(
            replace(ENTRY, metadata=Metadata("a", "b", {"networking.istio.io/enable-autoallocate-ip": "false"})),
            set(),
            id="none where it is switched off",
        ),
    ],
)
def test_hosts_of_service_entries(entry: ServiceEntry, expected: set[str]) -> None:
    [found] = Addresses().complete(Manifests(service_entries=(entry,))).service_entries
    assert set(found.assigned_addresses) == expected
    assert len(set(found.assigned_addresses.values())) == len(expected)


def test_an_address_of_the_status_stays() -> None:
    entry = replace(ENTRY, assigned_addresses={"a.example.com": (BLOCK,)})
    [found] = Addresses().complete(Manifests(service_entries=(entry,))).service_entries
    assert found.assigned_addresses["a.example.com"] == (BLOCK,)
    assert set(found.assigned_addresses) == set(ENTRY.hosts)


@given(st.lists(st.sets(st.integers(0, 79), max_size=40), min_size=1, max_size=6))
def test_whatever_comes_and_goes_nobody_moves_and_nobody_shares(steps: list[set[int]]) -> None:
    """In a range that is nearly full, where most hashes meet."""
    addresses = Addresses(ranges("10.0.0.0/25"))
    before: dict[str, tuple[str, ...]] = {}
    for step in steps:
        now = ips(addresses.complete(Manifests(pods=tuple(pod(f"p{number}") for number in step))))
        assert {name: ip for name, ip in before.items() if name in now} == {
            name: ip for name, ip in now.items() if name in before
        }
        assert len(set(now.values())) == len(step)
        before = now
