"""Certificates of 20 seconds, signed by `istiod_py`, rotate under load for two minutes: not one call may fail."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import talk
from tests.support.certificates import TestRoot
from tests.support.istiod import start_istiod
from tests.support.processes import eventually, loopback_address, run_tool
from tests.support.require import require_tool
from tests.support.tcp_apps import TcpApp, echo
from tests.ztunnel_py.nodes import nodes_started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.istiod import Istiod
    from tests.ztunnel_py.nodes import Node, Nodes

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400)]

LIFE = "20s"
SECONDS = 120
CALLERS = 16
ADDRESSES = 25
"""Of each caller. The proxies pool a connection per address: when its turn comes again the old one is gone."""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default, annotations: {{ambient.istio.io/redirection: enabled}}}}
spec: {{serviceAccountName: {name}, nodeName: {name}, containers: [{{name: app}}]}}
status: {{podIP: 10.0.0.{number}, phase: Running}}
---
"""


@pytest.fixture
def istiod(tmp_path: Path) -> Iterator[Istiod]:
    folder = tmp_path / "manifests"
    folder.mkdir()
    pods = (POD.format(name=name, number=number) for number, name in enumerate(("sleep", "server"), 1))
    (folder / "pods.yaml").write_text("".join(pods))
    with start_istiod(folder, tmp_path / "state", loopback_address()) as istiod:
        istiod.wait_ready()
        yield istiod


@pytest.fixture
def nodes(istiod: Istiod, tmp_path: Path) -> Iterator[Nodes]:
    """Each shows a token of its own node, from a file."""
    own = {}
    for name in ("sleep", "server"):
        token = tmp_path / f"{name}.token"
        token.write_text(istiod.token("istio-system/ztunnel", name) + "\n")
        own[name] = {"AUTH_TOKEN": str(token)}
        own[name] |= {"CA_ADDRESS": istiod.url, "CA_ROOT_CA": str(istiod.roots), "SECRET_TTL": LIFE}
        own[name] |= {"POOL_UNUSED_RELEASE_TIMEOUT": "100ms", "RUST_LOG": "warn"}
    with nodes_started(tmp_path, TestRoot(tmp_path / "unused"), own=own) as running:
        yield running


def addresses_of(caller: int) -> list[str]:
    """Where a caller's calls come from, in turn."""
    return [f"127.{100 + caller}.9.{1 + turn}" for turn in range(ADDRESSES)]


def more_pods() -> str:
    """A workload with the account of `sleep` for each address."""
    return "".join(
        f'- {{uid: "more/{address}", name: "more-{address}", namespace: default, serviceAccount: sleep, '
        f'workloadIps: ["{address}"], protocol: HBONE, node: sleep, services: {{}}}}\n'
        for caller in range(CALLERS)
        for address in addresses_of(caller)
    )


async def test_two_minutes_of_rotation_and_no_call_fails(nodes: Nodes) -> None:
    """Short calls go on without a pause, nearly each over a new connection between the proxies; so does a long one."""
    ss = require_tool("ss")
    nodes.append(more_pods())
    last = addresses_of(CALLERS - 1)[-1]
    for node in (nodes.sleep, nodes.server):
        await eventually(lambda node=node: last in node.get("/config_dump"), "told of all pods")  # type: ignore[misc]
    calls = 0
    seen: dict[str, set[str]] = {"sleep": set(), "server": set()}
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS

    async def call_and_call(number: int) -> None:
        nonlocal calls
        for address in itertools.cycle(addresses_of(number)):
            if loop.time() >= end:
                return
            await short_call(nodes, app.authority, address)
            calls += 1

    async def look() -> None:
        while loop.time() < end:
            for node in (nodes.sleep, nodes.server):
                seen[node.name].add(await asyncio.to_thread(serial_of, node))
            await asyncio.sleep(1)  # each certificate is seen several times in its life

    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as long_call:
        await talk(long_call, b"at first")
        async with asyncio.TaskGroup() as group:
            group.create_task(look())
            for number in range(CALLERS):
                group.create_task(call_and_call(number))
        await talk(long_call, b"at last")
        # The kernel remembers a minute of connections, on the side that closed them.
        ended = await run_tool(ss, "-Htan", "state", "time-wait", "( sport = :15008 or dport = :15008 )")
        handshakes = ended.stdout.decode().count(f"{nodes.server.address}:15008")
    least = min(map(len, seen.values()))
    print(f"{calls} calls, {handshakes} handshakes in the last minute, {least} certificates")  # noqa: T201 - pytest -s
    assert handshakes > 500
    for node in (nodes.sleep, nodes.server):
        # A life of 20 s is renewed after 10 s at most.
        assert len(seen[node.name]) >= SECONDS // 10 - 2
        metrics = await asyncio.to_thread(node.get, "/metrics", 15020)
        assert "istio_tcp_connections_failed_total{" not in metrics
        assert "\twarn\t" not in node.log


def serial_of(node: Node) -> str:
    """The number of the certificate a node has now; there must always be one."""
    (entry,) = json.loads(node.get("/config_dump"))["certificates"]
    assert entry["state"] == "Available", entry["state"]
    return str(entry["certChain"][0]["serialNumber"])


async def short_call(nodes: Nodes, authority: str, source: str) -> None:
    """One captured connection from `source`, whose bytes come back."""
    host, _, port = authority.rpartition(":")
    reader, writer = await asyncio.open_connection(nodes.sleep.address, 15001, local_addr=(source, 0))
    writer.write(b"PROXY TCP4 %b %b 1 %b\r\nword" % (source.encode(), host.encode(), port.encode()))
    writer.write_eof()
    try:
        async with asyncio.timeout(30):
            assert await reader.read() == b"word"
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
