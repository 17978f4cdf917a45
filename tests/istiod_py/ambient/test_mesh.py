"""Telling what stayed the same from one state to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.istiod_py.ambient.folder import authorization, mesh, namespace, peers, pod, service, waypoint

if TYPE_CHECKING:
    from istiod_py.ambient.mesh import Mesh
    from mesh_py.manifests.objects import KubernetesObject

WEB, DB = {"app": "web"}, {"app": "db"}
WORLD: dict[str, KubernetesObject] = {
    "web": service(),
    "db": service("db", "10.96.0.2", selector=DB),
    "web-1": pod("web-1", "10.1.0.1", labels=WEB),
    "web-2": pod("web-2", "10.1.0.2", labels=WEB),
    "db-1": pod("db-1", "10.1.0.3", labels=DB),
    "policy": authorization("policy", selector=DB),
    "waypoint": waypoint(),
}


def everything(told: Mesh) -> dict[str, object]:
    return {**told.workloads, **told.services, **told.policies}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        pytest.param({}, set(), id="nothing"),
        pytest.param({"web-1": pod("web-1", "10.1.0.1", labels=WEB, ready=False)}, {"web-1"}, id="a pod's health"),
        pytest.param({"web-2": None}, {"web-2"}, id="a pod goes"),
        pytest.param({"web-3": pod("web-3", "10.1.0.4", labels=WEB)}, {"web-3"}, id="a pod comes"),
        pytest.param({"db": service("db", "10.96.0.9", selector=DB)}, {"db.shop.svc.cluster.local"}, id="a service"),
        pytest.param(
            {"web": service(selector=DB)}, {"web-1", "web-2", "db-1"}, id="a selector: only who is behind it changes"
        ),
        pytest.param({"db": None}, {"db.shop.svc.cluster.local", "db-1"}, id="a service goes, and its workloads know"),
        pytest.param({"policy": authorization("policy", selector=WEB)}, {"web-1", "web-2", "db-1"}, id="a policy's"),
        pytest.param(
            {"strict": peers("db", "STRICT", selector=DB)}, {"db-1", "istio_converted_static_strict"}, id="strict"
        ),
        pytest.param({"ns": namespace(labels={"team": "a"})}, set(), id="a label that means nothing to the mesh"),
        pytest.param(
            {"db": service("db", "10.96.0.2", selector=DB, labels={"istio.io/use-waypoint": "wp"})},
            {"db.shop.svc.cluster.local"},
            id="a service goes through a waypoint",
        ),
    ],
)  # fmt: skip
def test_a_change_touches_what_it_must_and_nothing_else(
    change: dict[str, KubernetesObject | None], changed: set[str]
) -> None:
    before = mesh(*WORLD.values())
    after = mesh(*(one for one in (WORLD | change).values() if one is not None)).sharing(before)
    old, new = everything(before), everything(after)
    touched = {name for name in old.keys() | new.keys() if old.get(name) is not new.get(name)}
    assert {name.rpartition("/")[2] for name in touched} == changed
