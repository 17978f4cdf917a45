"""15014 as curl and browsers meet it: pages for this machine's people, nothing for web pages of others."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from istiod_py.clients import Clients
from istiod_py.debug_server import PAGES, DebugSurface, serve_debug
from istiod_py.metrics import IstiodMetrics
from istiod_py.node import read_node
from istiod_py.snapshot import Collection, Resource
from istiod_py.world import World
from mesh_py.xds.types import CLUSTER, SECRET
from tests.istiod_py.test_debug_views import WORLD, subscribed
from tests.support.discovery import SIDECAR_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRETS = Collection([Resource("default", b"\n\x07default")])
CLUSTERS = Collection([Resource("c", b"\n\x01c")])


@contextlib.asynccontextmanager
async def served(address: str, world: World = WORLD) -> AsyncIterator[tuple[httpx.AsyncClient, Clients]]:
    clients = Clients()
    surface = DebugSurface(
        world=lambda: world,
        faults=lambda: (),
        clients=clients,
        collection=lambda url, _: SECRETS if url == SECRET else CLUSTERS,
        metrics=IstiodMetrics("1.2.3"),
        is_ready=lambda: world.number > 0,
        version="1.2.3",
    )
    sock = socket.socket()
    sock.bind((address, 0))
    async with (
        serve_debug([sock], surface) as server,
        httpx.AsyncClient(base_url=f"http://{address}:{server.addresses[0][1]}") as http,
    ):
        yield http, clients


async def test_every_page_of_the_index_is_there(address: str) -> None:
    async with served(address) as (http, clients):
        clients.join(read_node(SIDECAR_ID), None, "", "delta", 0.0)
        index = (await http.get("/debug")).text
        for path, about in PAGES:
            assert about in index.replace("&amp;", "&")
            answer = await http.get(path.replace("NAME.NAMESPACE", "cart-1.shop"))
            assert answer.status_code == 200, path


async def test_metrics_readiness_and_version(address: str) -> None:
    async with served(address) as (http, _):
        answer = await http.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert 'pilot_info{version="1.2.3"} 1' in answer.text
        assert (await http.get("/version")).text == "1.2.3\n"
        assert (await http.get("/ready")).status_code == 200
    async with served(address, World()) as (http, _):
        assert (await http.get("/ready")).status_code == 503


async def test_the_dump_of_a_proxy_shows_envoys_resources_and_no_secrets(address: str) -> None:
    async with served(address) as (http, clients):
        client = clients.join(read_node(SIDECAR_ID), None, "", "delta", 0.0)
        subscribed(client, CLUSTER)
        subscribed(client, SECRET)
        [dump] = json.loads((await http.get("/debug/config_dump?proxyID=cart-1.shop&resources")).text)
        assert dump["configs"] == {CLUSTER: [{"name": "c"}]}
        assert set(dump["resources"][SECRET]["default"]) == {"version", "bytes"}


async def test_a_proxy_that_is_not_there_is_told_with_those_that_are(address: str) -> None:
    async with served(address) as (http, clients):
        clients.join(read_node(SIDECAR_ID), None, "", "delta", 0.0)
        answer = await http.get("/debug/config_dump?proxyID=nobody")
        assert answer.status_code == 404
        assert "cart-1.shop" in answer.text


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}], ids=["rebound name", "foreign page"]
)
async def test_web_pages_of_others_get_nothing(address: str, headers: dict[str, str]) -> None:
    async with served(address) as (http, _):
        assert (await http.get("/debug/ambientz", headers=headers)).status_code == 403


async def test_there_is_nothing_to_be_changed(address: str) -> None:
    async with served(address) as (http, _):
        assert (await http.post("/debug/syncz")).status_code == 405
        assert (await http.get("/quitquitquit")).status_code == 404
