"""15021 as a probe sees it."""

from __future__ import annotations

import pytest

from mesh_py.admin.readiness import Readiness
from mesh_py.admin.readiness_server import serve_readiness
from tests.support.processes import run_tool
from tests.support.require import require_tool


async def test_a_probe_sees_what_is_pending(client, free_socket):
    readiness = Readiness("proxy", "state manager")
    async with serve_readiness([free_socket()], readiness.answer) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}/healthz/ready"
        async with client.get(url) as response:
            assert (response.status, await response.text()) == (500, "not ready, pending: proxy, state manager\n")
        readiness.done("proxy")
        readiness.done("state manager")
        async with client.get(url) as response:
            assert (response.status, await response.text()) == (200, "ready\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_405(client, free_socket, method: str):
    async with serve_readiness([free_socket()], Readiness().answer) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}/healthz/ready"
        async with client.request(method, url) as response:
            assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


async def test_other_paths_are_404(client, free_socket):
    async with serve_readiness([free_socket()], Readiness().answer) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}/"
        async with client.get(url) as response:
            assert response.status == 404


@pytest.mark.interop
async def test_curl_agrees(free_socket):
    curl = require_tool("curl")
    async with serve_readiness([free_socket()], Readiness("proxy").answer) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}/healthz/ready"
        done = await run_tool(curl, "-sS", "-w", "%{http_code}", url)
    assert done.stdout == b"not ready, pending: proxy\n500"
