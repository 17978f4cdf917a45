"""The mesh file is right for every role, and stays so when somebody takes the comment marks off."""

from __future__ import annotations

from lab_py.paths.mesh_text import mesh_text
from lab_py.paths.node_mesh import without_further_keys
from lab_py.paths.world import World
from mesh_py.discovery.local_file import read_local_config
from mesh_py.manifests.proxy_file import further_of, read_proxy_file
from tests.lab_py.paths.uncommented import with_denials

TEXT = mesh_text("127.9")


def test_ztunnels_can_read_their_part() -> None:
    config = read_local_config(without_further_keys(TEXT), "mesh.yaml")
    assert config.warnings == ()
    assert {(workload.namespace, workload.name, workload.workload_ips[0]) for workload in config.workloads} == {
        (pod.namespace, pod.name, pod.ip) for pod in World("127.9").pods
    }
    assert {str(workload.identity) for workload in config.workloads} == {
        str(pod.identity) for pod in World("127.9").pods
    }


def test_sidecars_and_the_waypoint_read_all_of_it() -> None:
    config = read_proxy_file(TEXT, "mesh.yaml", trust_domain="cluster.local")
    assert config.policies == ()
    [route] = further_of(config).manifests.http_routes
    assert [backend.weight for backend in route.rules[1].backend_refs] == [75, 25]


def test_what_is_commented_out_is_right_too() -> None:
    config = read_proxy_file(with_denials(TEXT), "mesh.yaml", trust_domain="cluster.local")
    assert [str(policy.key) for policy in config.policies] == ["ambient/no-sleep"]
    assert config.warnings == ()
    assert len(further_of(config).manifests.authorization_policies) == 1
