"""All that three Envoys of one mesh are told, against golden files; the real Envoy says whether it is well-formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from istiod_py.envoy.protobuf import pack
from istiod_py.envoy.resources import resources_of
from mesh_py.xds import types
from tests.istiod_py.envoy import meshes
from tests.istiod_py.envoy.golden_files import CASES, NODES, golden_file, golden_mesh, golden_resources, golden_text
from tests.support.certificates import TestRoot
from tests.support.envoy_static import static_bootstrap, validate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("node", "form"), CASES)
def test_the_golden_files_hold(node: str, form: str) -> None:
    assert golden_text(node, form).splitlines() == golden_file(node, form).read_text().splitlines()


@pytest.mark.parametrize(("node", "form"), CASES)
def test_every_resource_has_the_form_of_its_type(node: str, form: str) -> None:
    for type_url, named in golden_resources(node, form).by_type().items():
        for name, resource in named.items():
            assert pack(type_url, name, resource).body
            assert resource.get("name", resource.get("cluster_name")) == name


@pytest.mark.interop
@pytest.mark.parametrize("node", NODES)
def test_the_real_envoy_finds_nothing_wrong_with_todays_form(node: str, tmp_path: Path) -> None:
    files = TestRoot(tmp_path / "root").issue("proxy", "default/proxy")
    bootstrap = static_bootstrap(golden_resources(node, "today"), files, "127.0.0.1")
    assert validate(bootstrap, tmp_path) == ""


@pytest.mark.interop
def test_the_real_envoy_does_not_know_the_filters_of_1_18(tmp_path: Path) -> None:
    files = TestRoot(tmp_path / "root").issue("proxy", "default/proxy")
    bootstrap = static_bootstrap(golden_resources("waypoint", "1.18"), files, "127.0.0.1")
    assert "io.istio.network.authn.Config" in validate(bootstrap, tmp_path)


def test_an_equal_mesh_gives_equal_resources_in_the_same_order() -> None:
    told = resources_of(golden_mesh(), NODES["sidecar"])
    assert list(told.by_type()) == [types.CLUSTER, types.ENDPOINTS, types.LISTENER, types.ROUTE]
    assert repr(told) == repr(resources_of(golden_mesh(), NODES["sidecar"]))


def test_an_empty_mesh_still_has_a_way_out() -> None:
    told = resources_of(meshes.mesh(), meshes.sidecar())
    assert list(told.listeners) == ["virtualOutbound", "virtualInbound", "connect_originate"]
    assert told.endpoints == told.routes == {}


def test_what_does_not_send_hbone_has_no_originator() -> None:
    told = resources_of(meshes.mesh(meshes.echo_pod()), meshes.sidecar(sends_hbone=False))
    assert "connect_originate" not in told.listeners
    assert "connect_originate" not in told.clusters


def test_a_waypoint_knows_the_clusters_it_routes_to_and_no_others() -> None:
    told = golden_resources("waypoint", "today")
    outbound = [name for name in told.clusters if name.startswith("outbound|")]
    assert outbound == ["outbound|90||old-echo.default.svc.cluster.local"]
