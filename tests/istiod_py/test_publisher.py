"""Many changes make one state; a state wakes everyone; a fault leaves the old one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from istiod_py.ambient.options import AmbientOptions
from istiod_py.clients import Clients
from istiod_py.metrics import IstiodMetrics
from istiod_py.node import read_node
from istiod_py.publisher import Debounce, Publisher
from mesh_py.manifests.objects import Manifests
from mesh_py.process.background import background
from tests.support.control_worlds import manifests_of, pod
from tests.support.discovery import ZTUNNEL_ID
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

CART, PAY = pod("cart-1", "10.0.0.1"), pod("pay-1", "10.0.0.2", app="pay")


class Followed:
    """A publisher that follows what the test puts into `texts`."""

    def __init__(self, debounce: Debounce) -> None:
        self.manifests = Manifests()
        self.reads = 0
        self.clients = Clients()
        self.metrics = IstiodMetrics("test")
        self.publisher = Publisher(self.read, AmbientOptions(), self.clients, self.metrics, debounce)

    def read(self) -> Manifests:
        self.reads += 1
        return self.manifests

    def edit(self, *texts: str) -> None:
        self.manifests = manifests_of(*texts)
        self.publisher.changed()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Followed]:
        async with background(self.publisher.follow()):
            yield self


async def test_a_state_wakes_everyone_who_is_connected() -> None:
    followed = Followed(Debounce(0.001))
    client = followed.clients.join(read_node(ZTUNNEL_ID), None, "", "delta", 0.0)
    async with followed.running():
        followed.edit(CART)
        async with asyncio.timeout(10):
            await client.woken()
        assert len(followed.publisher.world.addresses) == 1
        assert "pilot_workloads 1" in "".join(followed.metrics.text())


async def test_many_changes_make_one_state() -> None:
    followed = Followed(Debounce(quiet=0.05))
    async with followed.running():
        for number in range(20):
            followed.edit(*(pod(f"cart-{n}", f"10.0.0.{n + 1}") for n in range(number + 1)))
            await asyncio.sleep(0)
        await eventually(lambda: len(followed.publisher.world.addresses) == 20, "all of them served")
        assert followed.reads <= 2


async def test_a_folder_that_is_never_quiet_is_served_at_last() -> None:
    followed = Followed(Debounce(quiet=60.0, longest=0.05))
    async with followed.running():
        followed.edit(CART)
        await eventually(lambda: followed.publisher.world.number == 1, "served though never quiet")


async def test_what_changes_while_a_state_is_made_makes_another() -> None:
    followed = Followed(Debounce(0.001))
    async with followed.running():
        followed.edit(CART)
        await eventually(lambda: followed.publisher.world.number == 1, "the first")
        followed.edit(CART, PAY)
        await eventually(lambda: followed.publisher.world.number == 2, "the second")
        assert len(followed.publisher.world.addresses) == 2


async def test_an_unexpected_fault_leaves_the_state_and_the_next_change_is_followed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    followed = Followed(Debounce(0.001))
    async with followed.running():
        with monkeypatch.context() as patch:
            patch.setattr("istiod_py.publisher.Conversion", None)
            followed.edit(CART)
            await eventually(lambda: "unexpected error" in caplog.text, "the fault told")
        assert followed.publisher.world.number == 0
        followed.edit(CART)
        await eventually(lambda: followed.publisher.world.number == 1, "the next one served")


L7 = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: l7, namespace: shop}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
---
"""


async def test_authors_are_told_once_what_they_should_know(caplog: pytest.LogCaptureFixture) -> None:
    followed = Followed(Debounce(0.001))
    async with followed.running():
        for number, texts in enumerate(((CART, L7), (CART, L7, PAY)), 1):
            followed.edit(*texts)
            await eventually(lambda: followed.publisher.world.number == number, "served")  # noqa: B023
    assert len(followed.publisher.world.mesh.notices) >= 1
    for notice in followed.publisher.world.mesh.notices:
        assert caplog.messages.count(str(notice)) == 1


async def test_many_notices_are_not_all_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("istiod_py.publisher.MOST_TOLD", 1)
    followed = Followed(Debounce(0.001))
    async with followed.running():
        followed.edit(CART, L7, L7.replace("name: l7", "name: other"))
        await eventually(lambda: followed.publisher.world.number == 1, "served")
    assert "1 more of these" in caplog.text
