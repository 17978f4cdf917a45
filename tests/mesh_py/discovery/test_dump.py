"""The config dump: today's keys, and read back the same mesh (hbone-controlplane 7.3)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mesh_py.discovery.dump import (
    dump_policies,
    dump_services,
    dump_staged_services,
    dump_static_config,
    dump_workloads,
)
from mesh_py.discovery.local_file import read_local_config
from mesh_py.discovery.state import Changed
from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, StringMatch
from mesh_py.model.workload import Protocol, Workload
from tests.mesh_py.discovery.test_mesh_schema import POLICY, SERVICE, WORKLOAD
from tests.support.world import endpoint, gateway, mesh, service, workload

if TYPE_CHECKING:
    from mesh_py.discovery.state import MeshState


def test_the_keys_of_a_plain_workload() -> None:
    bare = Workload(uid="", name="w", namespace="n")
    assert dump_workloads(mesh(bare)) == [
        {
            "workloadIps": [],
            "protocol": "TCP",
            "networkMode": "Standard",
            "name": "w",
            "namespace": "n",
            "status": "Healthy",
            "clusterId": "",
            "capacity": 1,
        }
    ]


def test_the_keys_of_a_plain_service() -> None:
    assert dump_services(mesh(service("s.example", "10.96.0.1"))) == [
        {
            "name": "s",
            "namespace": "default",
            "hostname": "s.example",
            "vips": ["/10.96.0.1"],
            "ports": {"80": 8080},
            "endpoints": {},
            "subjectAltNames": [],
            "canonical": False,
            "visibility": "Public",
        }
    ]


def test_the_form_of_a_policy() -> None:
    match = Match(principals=(StringMatch(MatchKind.EXACT, "x"), StringMatch(MatchKind.PRESENCE)))
    policy = Policy("p", "n", Scope.NAMESPACE, Action.ALLOW, (((match,), ()), ()))
    assert dump_policies(mesh(policy)) == [
        {
            "name": "p",
            "namespace": "n",
            "scope": "Namespace",
            "action": "Allow",
            "rules": [[[{"principals": [{"Exact": "x"}, {"Presence": []}]}], []], []],
            "dryRun": False,
        }
    ]


def test_gateways_are_named_as_waypoints_are_looked_up() -> None:
    by_ip = workload("a", "10.0.0.1", waypoint=gateway("net/10.0.0.9"))
    by_name = workload("b", "10.0.0.2", network_gateway=gateway("istio/gw.example", 15009))
    first, second = dump_workloads(mesh(by_name, by_ip))
    assert first["waypoint"] == {"destination": "net/10.0.0.9", "hboneMtlsPort": 15008}
    assert second["networkGateway"] == {"destination": "istio/gw.example", "hboneMtlsPort": 15009}


def test_lists_are_sorted() -> None:
    state = mesh(
        workload("b", "10.0.0.2"), workload("a", "10.0.0.1"), service("z.example"), service("y.example"),
        Policy("q", "n", Scope.GLOBAL, Action.DENY), Policy("p", "n", Scope.GLOBAL, Action.DENY),
    )  # fmt: skip
    assert [found["name"] for found in dump_workloads(state)] == ["a", "b"]
    assert [found["hostname"] for found in dump_services(state)] == ["y.example", "z.example"]
    assert [found["name"] for found in dump_policies(state)] == ["p", "q"]


def whole(state: MeshState) -> str:
    return json.dumps(
        {
            "workloads": dump_workloads(state),
            "services": dump_services(state),
            "policies": dump_policies(state),
            "stagedServices": dump_staged_services(state),
        }
    )


def test_a_dump_read_back_is_the_same_mesh() -> None:
    full = read_local_config(f"{{workloads: [{flow(WORKLOAD)}], services: [{flow(SERVICE)}]}}", "f")
    state = mesh(
        *full.workloads,
        *full.services,
        workload("a", "10.0.0.1", services={"default/s.example": {80: 7070}, "default/later.example": {90: 9}}),
        workload("b", "10.0.0.2", protocol=Protocol.TCP, services={"default/s.example": {}}),
        service("s.example", "10.96.0.1", endpoints={"elsewhere": endpoint("elsewhere", {80: 1})}),
        *read_local_config(f"policies:\n{listed(POLICY)}", "f").policies,
    )
    again = read_local_config(whole(state), "dump.json")
    assert again.warnings == ()
    assert state.replace(again.workloads, again.services, again.policies) == Changed(0, 0, 0)


def test_a_static_config_reads_back_as_a_local_file() -> None:
    text = f"workloads:\n{listed(WORKLOAD)}services:\n{listed(SERVICE)}policies:\n{listed(POLICY)}"
    config = read_local_config(text, "mesh.yaml")
    assert read_local_config(json.dumps(dump_static_config(config)), "static.json") == config


def listed(text: str) -> str:
    """A block mapping as the item of a block list."""
    return "- " + text.strip().replace("\n", "\n  ") + "\n"


def flow(text: str) -> str:
    """A block mapping of flow values as a flow mapping."""
    return "{" + ", ".join(text.strip().splitlines()) + "}"
