"""The benchmark of a large mesh: that it asks what it says."""

from __future__ import annotations

import json
import random

from click.testing import CliRunner

from benchmarks.state import (
    PODS_OF_A_SERVICE,
    PORT,
    TARGET_PORT,
    main,
    mesh_yaml,
    pod_ip,
    policies,
    service,
    vip,
    workload,
)
from mesh_py.discovery.local_file import read_local_config
from mesh_py.discovery.resolve import resolve
from mesh_py.discovery.state import MeshState
from mesh_py.model.route import Tunnel


def test_every_figure_is_told() -> None:
    done = CliRunner().invoke(main, ["--workloads", "200", "--seconds", "0.001", "--rounds", "1", "-o", "json"])
    figures = json.loads(done.output)
    assert figures.pop("workloads") == 200
    assert len(figures) == 8
    assert all(figure > 0 for name, figure in figures.items() if "memory" not in name)


def test_a_service_leads_to_one_of_its_pods() -> None:
    state = MeshState()
    state.upsert_service(service(1))
    pods = range(PODS_OF_A_SERVICE, 2 * PODS_OF_A_SERVICE)
    for number in pods:
        state.upsert_workload(workload(number))
    route = resolve(state, workload(0), pod_ip(0), (vip(1), PORT), random=random.Random(1).random)
    assert isinstance(route, Tunnel)
    assert route.authority in {f"{pod_ip(number)}:{TARGET_PORT}" for number in pods}


def test_the_file_says_the_same() -> None:
    [first, second] = read_local_config(mesh_yaml(2), "mesh.yaml").workloads
    assert (first.uid, first.workload_ips, first.services) == (
        workload(0).uid,
        workload(0).workload_ips,
        workload(0).services,
    )
    assert second.uid == workload(1).uid


def test_policies_are_of_both_actions() -> None:
    assert [policy.action.value for policy in policies(4)] == ["Allow", "Deny", "Allow", "Deny"]
