"""One sidecar with many clients, idle and busy: what it holds stays small, and nobody is turned away."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from tests.sidecar_py.applications import web_application
from tests.sidecar_py.doors import dialled_by_socks
from tests.sidecar_py.sidecars import HOST, PORT, Addresses
from tests.support.tcp_apps import drop
from tests.ztunnel_py.worlds import CLEAN, START_SECONDS, ProxyProcess

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

IDLE, BUSY, EACH = 1000, 200, 20
PER_IDLE = 64 * 1024
"""Bytes that a client may cost who says nothing."""
PER_BUSY = 512 * 1024
"""The same for one with a request of 20 kB after the other."""


def resident(pid: int) -> int:
    """Bytes of memory in use."""
    [line] = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


async def test_a_thousand_idle_and_two_hundred_busy_clients(tmp_path: Path) -> None:
    at = Addresses()
    environment = {
        **CLEAN,
        "PROXY_WORKLOAD_INFO": "default/sleep/sleep",
        "PROXY_BIND_ADDRESS": at.sleep,
        "LOCAL_XDS": at.mesh(kind="mutualTls: false"),
        "FAKE_CA": "true",
        "FAKE_CA_DIR": str(tmp_path / "ca"),
        "UNSTABLE_ENABLE_SOCKS5": "true",
        "PROTOCOL_DETECTION_TIMEOUT": "5m",
        "RUST_LOG": "warn",
    }
    process = ProxyProcess([sys.executable, "-m", "sidecar_py"], tmp_path / "sidecar.log", environment)
    socks = f"{at.sleep}:15080"
    try:
        process.wait_until(lambda: is_ready(at.sleep), "ready", START_SECONDS)
        async with web_application(at.httpbin, at.port):
            await one_client(socks, 1)
            before = resident(process.pid)
            idle = [await dialled_by_socks(socks, HOST, PORT) for _ in range(IDLE)]
            with_idle = resident(process.pid)
            assert with_idle - before < IDLE * PER_IDLE
            async with asyncio.TaskGroup() as busy:
                for _ in range(BUSY):
                    busy.create_task(one_client(socks, EACH))
            assert resident(process.pid) - with_idle < BUSY * PER_BUSY
            for reader, writer in idle:  # they are still served
                assert not reader.at_eof()
                drop(writer)
            await one_client(socks, 1)
    finally:
        process.stop()


async def one_client(socks: str, count: int) -> None:
    """Requests one after the other on a connection of its own."""
    async with httpx.AsyncClient(proxy=f"socks5h://{socks}", timeout=120, trust_env=False, verify=False) as http:
        for seed in range(count):
            answer = await http.get(f"http://{HOST}:{PORT}/bytes/20000?seed={seed}")
            assert (answer.status_code, len(answer.content)) == (200, 20_000)


def is_ready(address: str) -> bool:
    """Whether it says so."""
    try:
        return httpx.get(f"http://{address}:15021/healthz/ready", trust_env=False, verify=False).status_code == 200
    except httpx.HTTPError:
        return False
