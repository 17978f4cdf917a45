"""All objects together: sorted by kind, found by name and by labels."""

from __future__ import annotations

import pytest

from mesh_py.manifests.core import EndpointSlice, Namespace, Pod, Service
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.networking import EntryEndpoint, WorkloadEntry
from mesh_py.manifests.objects import Manifests


def pod(name: str, namespace: str = "shop", **labels: str) -> Pod:
    return Pod(Metadata(name, namespace, labels=labels))


WEB_1, WEB_2, CART = (
    pod("web-1", app="web", version="v1"),
    pod("web-2", app="web", version="v2"),
    pod("cart", app="cart"),
)
FOREIGN = pod("web-1", "other", app="web")
MACHINE = WorkloadEntry(Metadata("vm", "shop", labels={"app": "web"}), EntryEndpoint("10.0.0.1", labels={"tier": "db"}))
SERVICE = Service(Metadata("web", "shop"))
SLICE = EndpointSlice(Metadata("web-abc", "shop", labels={"kubernetes.io/service-name": "web"}))
SHOP = Namespace(Metadata("shop", labels={"istio.io/dataplane-mode": "ambient"}))
ALL = Manifests.of([WEB_1, SERVICE, WEB_2, CART, FOREIGN, MACHINE, SLICE, SHOP])


def test_objects_are_sorted_by_kind_and_keep_their_order() -> None:
    assert ALL.pods == (WEB_1, WEB_2, CART, FOREIGN)
    assert ALL.services == (SERVICE,)
    assert list(ALL.all()) == [SHOP, WEB_1, WEB_2, CART, FOREIGN, SERVICE, SLICE, MACHINE]


def test_an_object_is_found_by_kind_namespace_and_name() -> None:
    assert ALL.find(Service, "shop", "web") is SERVICE
    assert ALL.find(Pod, "other", "web-1") is FOREIGN
    assert ALL.find(Service, "other", "web") is None
    assert ALL.find(Namespace, "", "shop") is SHOP


def test_the_first_of_a_name_taken_twice_is_found() -> None:
    first, second = pod("a", app="1"), pod("a", app="2")
    assert Manifests.of([first, second]).find(Pod, "shop", "a") is first


def test_a_namespace_that_nothing_describes_has_no_labels() -> None:
    assert ALL.namespace_labels("shop") == {"istio.io/dataplane-mode": "ambient"}
    assert ALL.namespace_labels("other") == {}


@pytest.mark.parametrize(
    ("namespace", "selector", "expected"),
    [
        pytest.param("shop", {"app": "web"}, [WEB_1, WEB_2], id="one label"),
        pytest.param("shop", {"app": "web", "version": "v2"}, [WEB_2], id="both labels must hold"),
        pytest.param("shop", {"app": "web", "version": "v3"}, [], id="a value nobody has"),
        pytest.param("shop", {}, [WEB_1, WEB_2, CART], id="an empty selector selects all of the namespace"),
        pytest.param("other", {"app": "web"}, [FOREIGN], id="another namespace"),
        pytest.param("nowhere", {"app": "web"}, [], id="an unknown namespace"),
        pytest.param("nowhere", {}, [], id="all of an unknown namespace"),
    ],
)
def test_pods_are_selected_by_labels(namespace: str, selector: dict[str, str], expected: list[Pod]) -> None:
    assert list(ALL.pods_selected(namespace, selector)) == expected


@pytest.mark.parametrize("selector", [{"app": "web"}, {"tier": "db"}, {"app": "web", "tier": "db"}])
def test_a_workload_entry_is_selected_by_either_kind_of_label(selector: dict[str, str]) -> None:
    assert list(ALL.workload_entries_selected("shop", selector)) == [MACHINE]


def test_slices_belong_to_the_service_they_name() -> None:
    assert list(ALL.slices_of(SERVICE)) == [SLICE]
    assert list(ALL.slices_of(Service(Metadata("web", "other")))) == []
