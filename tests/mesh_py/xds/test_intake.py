"""Responses become the mesh: what is applied, rejected, counted as a change, and what others see meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mesh_py.discovery.state import MeshState
from mesh_py.model.authorization import Action, Policy, Scope
from mesh_py.model.workload import Service, Workload
from mesh_py.xds import intake as intake_module
from mesh_py.xds import time_slices
from mesh_py.xds.delta import Resource, Response
from mesh_py.xds.encode import encode_authorization, encode_service, encode_workload, wire
from mesh_py.xds.intake import Intake
from mesh_py.xds.types import ADDRESS, AUTHORIZATION
from tests.support.world import ip, service, workload

if TYPE_CHECKING:
    from mesh_py.xds.intake import Taken

W = workload("w", "10.0.0.1", services={"default/h": {}}, workload_type="pod", cluster_id="c")
S = service("h", "10.96.0.1")
DENY = Policy("p", "default", Scope.NAMESPACE, Action.DENY, (((),),))


def resource(thing: Workload | Service | Policy, name: str | None = None) -> Resource:
    if isinstance(thing, Workload):
        return Resource(name or thing.uid, wire(encode_workload(thing)))
    if isinstance(thing, Service):
        return Resource(name or str(thing.key), wire(encode_service(thing)))
    return Resource(name or thing.key, wire(encode_authorization(thing)))


class Mesh:
    def __init__(self) -> None:
        self.state = MeshState()
        self.intake = Intake(self.state)
        self.changes = 0
        self.state.watch(self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def addresses(self, *things: Workload | Service | Resource, removed: tuple[str, ...] = ()) -> Taken:
        resources = [one if isinstance(one, Resource) else resource(one) for one in things]
        return await self.intake.take(Response(ADDRESS, "n", resources, removed))

    async def policies(self, *things: Policy | Resource, removed: tuple[str, ...] = ()) -> Taken:
        resources = [one if isinstance(one, Resource) else resource(one) for one in things]
        return await self.intake.take(Response(AUTHORIZATION, "n", resources, removed))


async def test_workloads_and_services_become_the_mesh_in_one_change() -> None:
    mesh = Mesh()
    taken = await mesh.addresses(S, W)
    assert taken.rejected == {}
    assert [found for _, found in taken.addresses] == [S, W]
    assert mesh.state.workloads.at("", ip("10.0.0.1")) == W
    [record] = mesh.state.services
    assert list(record.endpoints) == [W.uid]
    assert mesh.changes == 1


async def test_a_bad_resource_spoils_no_other() -> None:
    mesh = Mesh()
    taken = await mesh.addresses(Resource("bad", b""), S, Resource("worse", b"\xff"))
    assert taken.rejected.keys() == {"bad", "worse"}
    assert taken.rejected["bad"] == "the address is neither a workload nor a service"
    assert [record.service for record in mesh.state.services] == [S]


async def test_a_resource_we_trip_over_spoils_no_other(monkeypatch, caplog) -> None:
    def trip(data: bytes) -> Service:
        if not data:
            raise AssertionError("a bug of ours")
        return S

    monkeypatch.setattr(intake_module, "decode_address", trip)
    mesh = Mesh()
    taken = await mesh.addresses(Resource("ours", b""), S)
    assert taken.rejected == {"ours": "unexpected error: AssertionError('a bug of ours')"}
    assert [found for _, found in taken.addresses] == [S]
    assert "resource ours: unexpected error" in caplog.text


async def test_removals_come_after_resources() -> None:
    mesh = Mesh()
    await mesh.addresses(W, S, removed=(W.uid,))
    assert len(mesh.state.workloads) == 0
    assert mesh.changes == 1


async def test_removals_by_uid_and_by_name_and_of_nobody() -> None:
    mesh = Mesh()
    await mesh.addresses(W, S)
    taken = await mesh.addresses(removed=(W.uid, "default/h", "/10.9.9.9", "a/b/c", "ghost"))
    assert taken.rejected == {}
    assert (len(mesh.state.workloads), len(mesh.state.services)) == (0, 0)


async def test_what_comes_again_unchanged_is_no_change() -> None:
    mesh = Mesh()
    await mesh.addresses(W, S)
    await mesh.policies(DENY)
    policies = mesh.state.policies.version
    changes = mesh.changes
    await mesh.addresses(W, S)
    await mesh.policies(DENY)
    assert mesh.changes == changes
    assert mesh.state.policies.version == policies
    await mesh.addresses(replace(W, capacity=2), S)
    assert mesh.changes == changes + 1


async def test_policies_are_known_by_the_name_of_their_resource() -> None:
    mesh = Mesh()
    await mesh.policies(resource(DENY, "other/name"))
    assert mesh.state.policies.get("other/name") == DENY
    await mesh.policies(removed=("other/name",))
    assert len(mesh.state.policies) == 0


async def test_a_rejected_policy_leaves_the_one_before() -> None:
    mesh = Mesh()
    await mesh.policies(DENY)
    taken = await mesh.policies(Resource(DENY.key, b"\x18\x09"))  # scope: 9
    assert taken.rejected == {DENY.key: "scope 9 is not supported"}
    assert mesh.state.policies.get(DENY.key) == DENY


async def test_the_first_answer_about_policies_ends_the_wait_for_them_even_if_there_are_none() -> None:
    mesh = Mesh()
    mesh.state.expect_policies("the control plane's")
    assert mesh.state.policies.applicable(W).missing == ("the control plane's",)
    version = mesh.state.version
    await mesh.policies()
    assert mesh.state.policies.applicable(W).missing == ()
    assert mesh.state.version > version


async def test_a_type_that_is_not_ours_changes_nothing(caplog) -> None:
    mesh = Mesh()
    taken = await mesh.intake.take(Response("type.googleapis.com/x.Y", "n", [Resource("r", b"")]))
    assert taken.rejected == {}
    assert mesh.changes == 0
    assert "type.googleapis.com/x.Y is not for us" in caplog.text


# Large responses.


@pytest.fixture
def small_steps(monkeypatch) -> None:
    """Every resource is a slice, every third change a part."""
    monkeypatch.setattr(time_slices, "SLICE_SECONDS", -1.0)
    monkeypatch.setattr(intake_module, "APPLIED_AT_ONCE", 3)


async def states_seen(mesh: Mesh, take: asyncio.Task[Taken]) -> list[tuple[int, int]]:
    """Numbers of workloads and services at every turn of the event loop until it is taken."""
    seen = []
    while not take.done():
        await asyncio.sleep(0)
        seen.append((len(mesh.state.workloads), len(mesh.state.services)))
    return list(dict.fromkeys(seen))


@pytest.mark.usefixtures("small_steps")
async def test_others_get_their_turn_and_see_services_only_with_all_their_workloads() -> None:
    mesh = Mesh()
    things: list[Workload | Service] = [S, *(replace(W, uid=f"u{n}", workload_ips=()) for n in range(7)), service("i")]
    async with asyncio.TaskGroup() as group:
        take = group.create_task(mesh.addresses(*things))
        seen = await states_seen(mesh, take)
    assert seen == [(0, 0), (3, 0), (6, 0), (7, 2)]
    assert mesh.changes == 1
    async with asyncio.TaskGroup() as group:
        gone = (*(f"u{n}" for n in range(7)), "default/h", "default/i")
        take = group.create_task(mesh.addresses(removed=gone))
        seen = await states_seen(mesh, take)
    assert seen == [(6, 0), (3, 0), (0, 0)]


@pytest.mark.usefixtures("small_steps")
async def test_policies_change_all_at_once() -> None:
    mesh = Mesh()
    things = [replace(DENY, name=f"p{n}") for n in range(7)]
    sizes = set()
    async with asyncio.TaskGroup() as group:
        take = group.create_task(mesh.policies(*things))
        while not take.done():
            sizes.add(len(mesh.state.policies))
            await asyncio.sleep(0)
    assert sizes | {len(mesh.state.policies)} == {0, 7}


# Names that are not the resource's own.


async def test_what_a_name_stood_for_goes_with_what_it_stands_for_now() -> None:
    mesh = Mesh()
    a, b, c = (workload(name, workload_type="pod", cluster_id="c") for name in "abc")
    await mesh.addresses(a, resource(b, "x"))
    await mesh.addresses(resource(c, "x"), resource(b, "x"), resource(c, "x"))
    assert set(mesh.state.workloads.by_uid) == {a.uid, c.uid}
    await mesh.addresses(S, removed=("x", "ghost"))
    assert set(mesh.state.workloads.by_uid) == {a.uid}
    await mesh.addresses(resource(b, a.uid))
    assert set(mesh.state.workloads.by_uid) == {b.uid}


async def test_a_name_that_stands_for_ever_new_workloads_holds_one() -> None:
    mesh = Mesh()
    for number in range(20):
        await mesh.addresses(*(resource(workload(f"w{number}-{n}"), "x") for n in range(3)))
    assert len(mesh.state.workloads) == 1
