"""The example folders: clean, complete, and what their README says they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import istiod_py
from istiod_py.ambient.build import build
from istiod_py.ambient.participation import DataPlane
from istiod_py.proxy_config import ProxyConfigs
from mesh_py.discovery.state import MeshState
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.reader import scan
from mesh_py.model.workload import Protocol
from mesh_py.xds.encode import wire
from mesh_py.xds.proxy_config import decode_proxy_config, encode_proxy_config

if TYPE_CHECKING:
    from istiod_py.ambient.mesh import Mesh

EXAMPLES = Path(istiod_py.__file__).parent / "examples"
FOLDERS = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())
NODE, SIDECAR, NONE = DataPlane.NODE, DataPlane.SIDECAR, DataPlane.NONE


def manifests(folder: str) -> Manifests:
    contents = [scan(file.read_text(), file.name) for file in sorted((EXAMPLES / folder).glob("*.yaml"))]
    assert [str(problem) for one in contents for problem in (*one.faults, *one.warnings)] == []
    return Manifests.of(found for one in contents for found in one.objects)


def told(folder: str) -> Mesh:
    return build(manifests(folder))


def test_the_readme_lists_every_folder() -> None:
    assert re.findall(r"^\| `(\w+)` \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE) == [
        "ambient", "waypoint", "sidecar",
    ]  # fmt: skip
    assert FOLDERS == ["ambient", "sidecar", "waypoint"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_wrong_with_them(folder: str) -> None:
    assert [str(one) for one in told(folder).notices] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_address_is_on_this_machine_and_belongs_to_one(folder: str) -> None:
    mesh = told(folder)
    addresses = [ip for one in mesh.workloads.values() for ip in one.workload_ips]
    addresses += [vip.ip for one in mesh.services.values() for vip in one.vips]
    assert all(address.startswith("127.0.") for address in addresses)
    assert len(addresses) == len(set(addresses))


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("ambient", {"sleep": NODE, "httpbin": NODE}),
        ("waypoint", {"sleep": NODE, "httpbin": NODE, "waypoint": NONE}),
        ("sidecar", {"sleep": NODE, "httpbin": NODE, "web": SIDECAR}),
    ],
)
def test_who_has_which_proxy(folder: str, expected: dict[str, DataPlane]) -> None:
    assert {uid.rpartition("/")[2]: plane for uid, plane in told(folder).data_planes.items()} == expected


def test_the_waypoint_is_found_and_takes_hbone() -> None:
    mesh = told("waypoint")
    state = MeshState()
    state.replace(mesh.workloads.values(), mesh.services.values(), mesh.policies.values())
    httpbin = mesh.services["default/httpbin.default.svc.cluster.local"]
    assert httpbin.waypoint is not None
    found = state.find_destination(httpbin.waypoint.destination)
    assert list(found.endpoints) == ["Kubernetes//Pod/default/waypoint"]  # type: ignore[union-attr]
    assert mesh.workloads["Kubernetes//Pod/default/waypoint"].protocol is Protocol.HBONE


@pytest.mark.parametrize(
    ("folder", "kind", "proxy", "kinds"),
    [
        (
            "waypoint",
            "waypoint",
            "default/waypoint",
            ["AuthorizationPolicy", "Gateway", "HTTPRoute", "Service"],
        ),
        ("sidecar", "sidecar", "legacy/web", ["HTTPRoute", "PeerAuthentication", "Pod", "Service"]),
    ],
)
def test_what_their_proxies_are_told(folder: str, kind: str, proxy: str, kinds: list[str]) -> None:
    found = manifests(folder)
    config = ProxyConfigs(found, build(found), MeshConfig()).of_proxy(kind, *proxy.split("/"))
    assert config is not None
    sent = decode_proxy_config(wire(encode_proxy_config(config)), config.name)
    assert [one.kind for one in sent.objects] == kinds
