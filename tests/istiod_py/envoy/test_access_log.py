"""Access logs of an Envoy that asks for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from istiod_py.envoy.access_log import logged
from istiod_py.envoy.bootstrap import node_metadata
from istiod_py.envoy.node import envoy_node
from istiod_py.envoy.resources import resources_of
from istiod_py.node import read_node
from tests.istiod_py.envoy import meshes
from tests.istiod_py.envoy.golden_files import NODES, golden_mesh
from tests.support.certificates import TestRoot
from tests.support.envoy_static import static_bootstrap, validate

if TYPE_CHECKING:
    from pathlib import Path

FILE = "/logs/envoy.json"


def test_who_names_no_file_gets_none() -> None:
    listeners = [{"name": "one", "filter_chains": [{"filters": []}]}]
    assert logged(listeners, "") == listeners
    assert "access_log" not in json.dumps(resources_of(golden_mesh(), NODES["sidecar"]))


def test_a_node_names_the_file() -> None:
    node = meshes.sidecar(access_log=FILE)
    again = envoy_node(read_node(node.id, node_metadata(node)))
    assert again is not None
    assert again.access_log == FILE


@pytest.mark.parametrize("kind", [meshes.sidecar, meshes.waypoint])
def test_every_filter_that_ends_a_connection_writes(kind: object) -> None:
    node = kind(access_log=FILE)  # type: ignore[operator]
    text = json.dumps(resources_of(golden_mesh(), node).listeners)
    ends = text.count('"envoy.filters.network.http_connection_manager"') + text.count(
        '"envoy.filters.network.tcp_proxy"'
    )
    assert text.count(f'"path": "{FILE}"') == ends > 2


@pytest.mark.interop
def test_the_real_envoy_takes_it(tmp_path: Path) -> None:
    files = TestRoot(tmp_path / "root").issue("proxy", "default/proxy")
    told = resources_of(golden_mesh(), meshes.waypoint(access_log=str(tmp_path / "log")))
    assert validate(static_bootstrap(told, files, "127.0.0.1"), tmp_path) == ""
