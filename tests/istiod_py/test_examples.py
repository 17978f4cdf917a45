"""The example folders: clean, complete, and what their README says they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import istiod_py
from hbone_py.identity import SpiffeId
from istiod_py.ambient.build import build
from istiod_py.ambient.participation import DataPlane
from istiod_py.check.folder_check import check_folder
from istiod_py.proxy_config import ProxyConfigs
from istiod_py.registry import Registry, RegistrySettings
from mesh_py.discovery.resolve import resolve
from mesh_py.discovery.state import MeshState
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.policy.match import ConnectionFacts
from mesh_py.policy.rbac import authorize
from mesh_py.xds.decode import decode_address, decode_authorization
from mesh_py.xds.encode import encode_authorization, encode_service, encode_workload, wire
from mesh_py.xds.proxy_config import decode_proxy_config, encode_proxy_config
from tests.support.world import address, ip, one_line

if TYPE_CHECKING:
    from istiod_py.ambient.mesh import Mesh
    from mesh_py.manifests.objects import Manifests
    from mesh_py.model.workload import Service, Workload

EXAMPLES = Path(istiod_py.__file__).parent / "examples"
FOLDERS = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())
NODE, SIDECAR, NONE = DataPlane.NODE, DataPlane.SIDECAR, DataPlane.NONE


def manifests(folder: str) -> Manifests:
    return Registry.load(RegistrySettings(EXAMPLES / folder)).manifests


def told(folder: str) -> Mesh:
    return build(manifests(folder))


def test_the_readme_lists_every_folder() -> None:
    assert re.findall(r"^\| `(\w+)` \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE) == [
        "ambient", "waypoint", "sidecar",
    ]  # fmt: skip
    assert FOLDERS == ["ambient", "sidecar", "waypoint"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_wrong_with_them(folder: str) -> None:
    assert [str(finding) for finding in check_folder(EXAMPLES / folder).findings] == []
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


# What a node proxy does with what it is told: through the bytes, to its decisions.


def node_proxy(folder: str) -> MeshState:
    """A node proxy that was sent everything."""
    mesh, state = told(folder), MeshState()
    for workload in mesh.workloads.values():
        state.upsert_workload(cast("Workload", decode_address(wire(encode_workload(workload)))))
    for service in mesh.services.values():
        state.upsert_service(cast("Service", decode_address(wire(encode_service(service)))))
    for policy in mesh.policies.values():
        state.upsert_policy(decode_authorization(wire(encode_authorization(policy))))
    return state


def named(state: MeshState, name: str) -> Workload:
    namespace = "legacy" if name == "web" else "default"
    found = state.workloads.by_uid.get(f"Kubernetes//Pod/{namespace}/{name}")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("folder", "source", "destination", "expected"),
    [
        ("ambient", "sleep", "127.0.96.1:8000", "127.0.2.1:8080 via 127.0.2.1:15008 to httpbin"),
        ("ambient", "sleep", "127.0.2.1:8080", "127.0.2.1:8080 via 127.0.2.1:15008 to httpbin"),
        ("ambient", "sleep", "127.9.9.9:80", "tcp to 127.9.9.9:80"),
        ("waypoint", "sleep", "127.0.96.1:8000", "127.0.96.1:8000 via 127.0.3.1:15008 to waypoint"),
        ("waypoint", "sleep", "127.0.2.1:8080", "127.0.2.1:8080 via 127.0.2.1:15008 to httpbin"),
        ("sidecar", "sleep", "127.0.96.1:8000", "127.0.2.1:8080 via 127.0.2.1:15008 to httpbin"),
        ("sidecar", "sleep", "127.0.96.4:80", "tcp to 127.0.4.1:8080"),
    ],
)
def test_where_connections_go(folder: str, source: str, destination: str, expected: str) -> None:
    state = node_proxy(folder)
    client = named(state, source)
    route = resolve(state, client, client.workload_ips[0], address(destination), random=lambda: 0.0)
    assert one_line(route).partition(";")[0] == expected


@pytest.mark.parametrize(
    ("folder", "client", "server", "allowed"),
    [
        ("ambient", "default/sleep", "httpbin", True),
        ("ambient", "default/other", "httpbin", False),
        ("ambient", None, "httpbin", False),
        ("ambient", None, "sleep", False),
        ("waypoint", "default/waypoint", "httpbin", True),
        ("waypoint", "default/sleep", "httpbin", False),
        ("waypoint", "default/sleep", "waypoint", True),
        ("sidecar", "legacy/web", "httpbin", True),
        ("sidecar", "default/sleep", "httpbin", True),
        ("sidecar", None, "web", True),
    ],
)
def test_who_is_let_in(folder: str, client: str | None, server: str, allowed: bool) -> None:
    state = node_proxy(folder)
    workload = named(state, server)
    identity = SpiffeId("cluster.local", *client.split("/")) if client else None
    facts = ConnectionFacts(ip("127.0.1.1"), workload.workload_ips[0], 8080, identity)
    assert authorize(state.policies.applicable(workload), facts).allowed is allowed


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
