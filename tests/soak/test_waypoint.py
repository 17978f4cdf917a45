"""Large things through node proxy, waypoint and node proxy, processes all; and many small ones by two versions."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import httpx
import pytest

from lab_py.apps.payload import digest_of
from tests.ztunnel_py.worlds import world_net
from waypoint_py.embedded import WORLD
from waypoint_py.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

SIZE = 60_000_000
ROUNDS = 2_000
CLIENTS = 20


@pytest.fixture
async def world() -> AsyncIterator[World]:
    one = World(world_net())
    async with WORLD.up(one, None, {"RUST_LOG": "error"}, lambda _, __: None):
        yield one


def client(world: World) -> httpx.AsyncClient:
    host, port = world.socks
    limits = httpx.Limits(max_connections=CLIENTS)
    return httpx.AsyncClient(proxy=f"socks5h://{host}:{port}", trust_env=False, verify=False, timeout=60, limits=limits)


async def test_a_download_whose_application_ends_first_arrives_whole(world: World) -> None:
    async with client(world) as http:
        asked = http.stream("GET", f"http://{world.authority}/bytes/{SIZE}?seed=a", headers={"connection": "close"})
        async with asked as answer:
            digest = hashlib.sha256()
            async for piece in answer.aiter_raw():
                digest.update(piece)
                if len(piece) % 7 == 0:
                    await asyncio.sleep(0.001)  # a reader that is slower than its sender
        assert digest.hexdigest() == await asyncio.to_thread(digest_of, SIZE, "a")


async def test_requests_side_by_side_are_all_answered_by_the_version_they_asked_for(world: World) -> None:
    counts: dict[str, int] = {}
    left = iter(range(ROUNDS))
    async with client(world) as http:

        async def ask() -> None:
            for number in left:
                wanted = {"x-version": "v2"} if number % 2 else {}
                answer = await http.get(f"http://{world.authority}/hostname", headers=wanted)
                assert answer.status_code == 200
                counts[answer.text.strip()] = counts.get(answer.text.strip(), 0) + 1
                assert not wanted or "v2" in answer.text

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(ask())
    by_header = ROUNDS // 2
    by_weight = sum(count for name, count in counts.items() if "v2" in name) - by_header
    assert sum(counts.values()) == ROUNDS
    assert 0.15 < by_weight / (ROUNDS - by_header) < 0.25  # 20 of 100
