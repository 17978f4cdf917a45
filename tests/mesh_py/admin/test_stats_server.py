"""15020 as a scraper sees it."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from typing import TYPE_CHECKING

import brotli
import pytest
import zstandard
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mesh_py.admin.stats_server import serve_stats
from mesh_py.telemetry.facts import ConnectionFacts, Party
from mesh_py.telemetry.metrics import Metrics
from tests.support.processes import run_tool
from tests.support.require import require_tool

if TYPE_CHECKING:
    from mesh_py.telemetry.snapshot import Snapshot

PATHS = ["/metrics", "/stats/prometheus"]


def taker(metrics: Metrics):
    async def take() -> Snapshot:
        return metrics.snapshot()

    return take


def counted(connections: int) -> Metrics:
    metrics = Metrics("1.0")
    for number in range(connections):
        metrics.traffic.open(ConnectionFacts("source", Party(workload=f"w{number}"), None))
    return metrics


async def fetched(client, url: str) -> tuple[int, str]:
    async with client.get(url) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("path", PATHS)
async def test_metrics_are_text_a_parser_reads(client, free_socket, path: str):
    async with serve_stats([free_socket()], taker(counted(3))) as server:
        port = server.addresses[0][1]
        status, text = await fetched(client, f"http://127.0.0.1:{port}{path}")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert status == 200
    assert len(families["istio_tcp_connections_opened"].samples) == 3


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;charset=utf-8;version=1.0.0",
        ),
    ],
)
async def test_the_type_follows_what_is_accepted(client, free_socket, accept: str, content_type: str):
    async with serve_stats([free_socket()], taker(Metrics())) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}/metrics"
        async with client.get(url, headers={"Accept": accept}) as response:
            assert response.headers["Content-Type"] == content_type


@pytest.mark.parametrize(
    ("coding", "undo"),
    [
        ("zstd", lambda body: zstandard.ZstdDecompressor().decompress(body)),
        ("br", brotli.decompress),
        ("gzip", gzip.decompress),
        ("deflate", zlib.decompress),
    ],
    ids=["zstd", "br", "gzip", "deflate"],
)
@pytest.mark.parametrize("connections", [1, 200], ids=["small", "large"])
async def test_compressed_if_wanted(raw_client, free_socket, coding, undo, connections: int):
    async with serve_stats([free_socket()], taker(counted(connections))) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}/metrics"
        async with raw_client.get(url, headers={"Accept-Encoding": coding}) as response:
            assert response.headers["Content-Encoding"] == coding
            assert undo(await response.read()).endswith(b"# EOF\n")
        async with raw_client.get(url, headers={"Accept-Encoding": "identity"}) as response:
            assert "Content-Encoding" not in response.headers
            assert (await response.read()).endswith(b"# EOF\n")


async def test_a_large_scrape_gives_way_to_others(client, free_socket):
    """The loop turns many times while thousands of series are written."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    metrics = counted(5_000)
    async with serve_stats([free_socket()], taker(metrics)) as server, asyncio.TaskGroup() as group:
        counting = group.create_task(count_turns())
        async with client.get(f"http://127.0.0.1:{server.addresses[0][1]}/metrics") as response:
            assert response.status == 200
        counting.cancel()
    assert turns > 50


async def test_methods_and_paths(client, free_socket):
    async with serve_stats([free_socket()], taker(Metrics())) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}"
        async with client.post(f"{url}/metrics") as response:
            assert response.status == 405
        async with client.head(f"{url}/metrics") as response:
            assert response.status == 200
        async with client.get(f"{url}/other") as response:
            assert response.status == 404


def without_process(text: bytes) -> list[bytes]:
    """What does not change from one scrape to the next."""
    return [line for line in text.splitlines() if not line.startswith(b"process_")]


@pytest.mark.interop
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
async def test_curl_undoes_every_coding(free_socket, coding: str):
    curl = require_tool("curl")
    known = (await run_tool(curl, "--version")).stdout.decode()
    if not re.search({"br": r"\bbrotli\b", "zstd": r"\bzstd\b"}.get(coding, r"\blibz\b"), known):
        pytest.skip(f"this curl does not know {coding}")
    async with serve_stats([free_socket()], taker(counted(200))) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}/stats/prometheus"
        plain = await run_tool(curl, "-sS", url)
        packed = await run_tool(curl, "-sS", "-H", f"Accept-Encoding: {coding}", url)
        undone = await run_tool(curl, "-sS", "-H", f"Accept-Encoding: {coding}", "--compressed", url)
    assert without_process(undone.stdout) == without_process(plain.stdout)
    assert b"istio_build{" in undone.stdout
    assert len(packed.stdout) < len(plain.stdout) / 5
