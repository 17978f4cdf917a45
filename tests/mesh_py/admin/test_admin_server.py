"""15000, page by page."""

from __future__ import annotations

import asyncio
import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from mesh_py.admin.admin_server import AdminSurface, filter_of, serve_admin
from mesh_py.admin.pprof import encode_pprof
from mesh_py.admin.profile import Profile, ProfileError, ProfileRequest
from mesh_py.admin.readiness import Readiness
from mesh_py.telemetry.log_filter import LogFilter, LogFilterError
from mesh_py.telemetry.log_sink import LogSink
from mesh_py.telemetry.logs import Logs
from tests.support.processes import run_tool
from tests.support.require import require_tool

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from mesh_py.admin.http_server import HttpServer


class Proxy:
    """What stands behind the surface; remembers what it was asked."""

    def __init__(self) -> None:
        self.readiness = Readiness()
        self.filter = LogFilter.parse("info")
        self.drained = asyncio.Event()
        self.asked = asyncio.Event()
        self.asked_to_end = 0
        self.profiles: list[ProfileRequest] = []
        self.profiling = asyncio.Event()
        self.profiling.set()
        self.dump: dict[str, Any] = {"workloads": [], "version": {"version": "1.0"}}

    async def config_dump(self) -> dict[str, Any]:
        return self.dump

    async def log_filter(self, clauses: str | None, reset: bool) -> str:
        if clauses is not None:
            self.filter = (LogFilter.parse("info") if reset else self.filter).with_clauses(clauses)
        return str(self.filter)

    async def shutdown(self) -> None:
        self.asked_to_end += 1
        self.asked.set()
        await self.drained.wait()

    async def profile(self, request: ProfileRequest) -> Profile:
        self.profiles.append(request)
        self.asked.set()
        await self.profiling.wait()
        if request.frequency == 999:
            raise ProfileError("not here")
        return {("main", "work"): 1500}


@pytest.fixture
async def proxy():
    return Proxy()


@pytest.fixture
def admin(proxy, free_socket):
    def serve(deadline: float = 10.0) -> AbstractAsyncContextManager[HttpServer]:
        surface = AdminSurface(
            config_dump=proxy.config_dump,
            log_filter=proxy.log_filter,
            shutdown=proxy.shutdown,
            shutdown_deadline=deadline,
            readiness=proxy.readiness.answer,
            profile=proxy.profile,
        )
        return serve_admin([free_socket()], surface)

    return serve


def url_of(server: HttpServer, path: str) -> str:
    return f"http://127.0.0.1:{server.addresses[0][1]}{path}"


async def ask(client, server: HttpServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    async with client.request(method, url_of(server, path), headers=headers) as response:
        return response.status, await response.text()


async def test_the_index_names_every_page(client, admin):
    async with admin() as server, client.get(url_of(server, "/")) as response:
        page = await response.text()
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'"
    for path in ("config_dump", "logging", "quitquitquit", "healthz/ready", "debug/pprof/profile", "debug/pprof/heap"):
        assert path in page


async def test_and_those_of_a_role(client, proxy, free_socket):
    async def clusters(_: object) -> web.Response:
        return web.Response(text="none")

    surface = AdminSurface(
        proxy.config_dump, proxy.log_filter, proxy.shutdown, shutdown_deadline=1, readiness=proxy.readiness.answer
    )
    async with serve_admin([free_socket()], surface, {"/clusters": clusters}) as server:
        assert '<a href="clusters">clusters</a>' in (await ask(client, server, "/"))[1]
        assert await ask(client, server, "/clusters") == (200, "none")


async def test_config_dump_is_pretty_json(client, admin, proxy):
    proxy.dump = {"workloads": [{"name": "grüße"}], "path": PurePath("/etc/x"), "none": None}
    async with admin() as server, client.get(url_of(server, "/config_dump")) as response:
        text = await response.text()
        assert response.content_type == "application/json"
    assert json.loads(text) == {"workloads": [{"name": "grüße"}], "path": "/etc/x", "none": None}
    assert text.startswith('{\n  "workloads": [\n')


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("", 200, "current log level is warn\n"),
        ("?level=debug", 200, "current log level is debug\n"),
        ("?level=access=debug,info", 200, "current log level is access=debug,info\n"),
        ("?level=access:debug", 200, "current log level is access=debug,warn\n"),
        ("?reset", 200, "current log level is info\n"),
        ("?level=info&reset", 200, "current log level is info\n"),
        ("?reset&level=access=trace", 200, "current log level is access=trace,info\n"),
        ("?level=loud", 400, "Invalid level provided: no level 'loud'"),
        ("?level=access=loud", 400, "Invalid level provided: no level 'loud'"),
    ],
)
async def test_logging(client, admin, proxy, query: str, status: int, body: str):
    proxy.filter = LogFilter.parse("warn")
    async with admin() as server:
        answered, text = await ask(client, server, f"/logging{query}", "POST")
    assert answered == status
    assert text.startswith(body)


async def test_a_wrong_level_changes_nothing_and_helps(client, admin, proxy):
    async with admin() as server:
        _, text = await ask(client, server, "/logging?level=debug,loud", "POST")
    assert "usage: POST /logging" in text
    assert str(proxy.filter) == "info"


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/logging", "GET", "POST"),
        ("/quitquitquit", "GET", "POST"),
        ("/healthz/ready", "POST", "GET, HEAD"),
        ("/debug/pprof/profile", "POST", "GET"),
        ("/debug/pprof/heap", "POST", "GET"),
        ("/debug/pprof/heap/profiling", "POST", "GET"),
    ],
)
async def test_wrong_methods(client, admin, proxy, path: str, method: str, allowed: str):
    async with admin() as server, client.request(method, url_of(server, path)) as response:
        assert (response.status, response.headers["Allow"]) == (405, allowed)
        assert ("usage: POST /logging" in await response.text()) is (path == "/logging")
    assert proxy.asked_to_end == 0


async def test_quit_answers_when_the_drain_has_ended(client, admin, proxy):
    async with admin() as server, asyncio.TaskGroup() as group:
        request = group.create_task(ask(client, server, "/quitquitquit", "POST"))
        await proxy.asked.wait()
        assert not request.done()
        proxy.drained.set()
        assert await request == (200, "shutdown now\n")
    assert proxy.asked_to_end == 1


async def test_quit_answers_at_the_deadline_at_the_latest(client, admin, proxy):
    async with admin(deadline=0.01) as server:
        assert await ask(client, server, "/quitquitquit", "POST") == (200, "shutdown now\n")
    assert not proxy.drained.is_set()


async def test_readiness(client, admin, proxy):
    async with admin() as server:
        assert await ask(client, server, "/healthz/ready") == (200, "ready\n")
        proxy.readiness.add("proxy")
        assert await ask(client, server, "/healthz/ready") == (500, "not ready, pending: proxy\n")


async def test_profile(client, admin, proxy):
    async with admin() as server:
        async with client.get(url_of(server, "/debug/pprof/profile")) as response:
            assert await response.read() == encode_pprof({("main", "work"): (1_500_000,)})
            assert (response.status, response.content_type) == (200, "application/octet-stream")
        assert await ask(client, server, "/debug/pprof/profile?format=collapsed") == (200, "main;work 1500\n")
        status, text = await ask(client, server, "/debug/pprof/profile?seconds=2&frequency=50&format=speedscope")
    assert (status, json.loads(text)["profiles"][0]["weights"]) == (200, [1500])
    assert proxy.profiles == [ProfileRequest(10, 100), ProfileRequest(10, 100), ProfileRequest(2, 50)]


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("seconds=0", 400, "seconds must be 1 to 300\n"),
        ("seconds=301", 400, "seconds must be 1 to 300\n"),
        ("seconds=nan", 400, "seconds must be 1 to 300\n"),
        ("frequency=0", 400, "frequency must be 1 to 1000\n"),
        ("frequency=1001", 400, "frequency must be 1 to 1000\n"),
        ("seconds=soon", 400, "seconds and frequency must be numbers\n"),
        ("format=svg", 400, "format must be pprof, collapsed or speedscope\n"),
        ("frequency=999", 500, "not here\n"),
    ],
)
async def test_profiles_that_cannot_be_had(client, admin, query: str, status: int, text: str):
    async with admin() as server:
        assert await ask(client, server, f"/debug/pprof/profile?{query}") == (status, text)


async def test_the_heap_is_told_once_it_is_noted(client, admin):
    switch, held = "/debug/pprof/heap/profiling", "/debug/pprof/heap"
    async with admin() as server:
        assert await ask(client, server, switch) == (200, "heap profiling active: false\n")
        status, said = await ask(client, server, held)
        assert (status, said.partition(":")[0]) == (500, "allocations are not noted")
        assert await ask(client, server, f"{switch}?activate=maybe") == (400, "activate must be true or false\n")
        try:
            assert await ask(client, server, f"{switch}?activate=true") == (200, "heap profiling active: true\n")
            kept = bytearray(1_000_003)
            async with client.get(url_of(server, held)) as response:
                profile = await response.read()
                assert (response.status, response.content_type) == (200, "application/octet-stream")
            assert b"inuse_space" in profile
            assert __file__.encode() in profile, f"who asked for {len(kept)} bytes"
        finally:
            assert await ask(client, server, f"{switch}?activate=false") == (200, "heap profiling active: false\n")


async def test_the_heap_of_several_processes_is_nobodys(client, proxy, free_socket):
    surface = AdminSurface(
        proxy.config_dump,
        proxy.log_filter,
        proxy.shutdown,
        shutdown_deadline=1,
        readiness=proxy.readiness.answer,
        is_one_process=False,
    )
    async with serve_admin([free_socket()], surface) as server:
        for path in ("/debug/pprof/heap", "/debug/pprof/heap/profiling?activate=true"):
            assert (await ask(client, server, path))[0] == 500


async def test_one_profile_at_a_time(client, admin, proxy):
    proxy.profiling.clear()
    async with admin() as server, asyncio.TaskGroup() as group:
        first = group.create_task(ask(client, server, "/debug/pprof/profile?format=collapsed"))
        await proxy.asked.wait()
        assert await ask(client, server, "/debug/pprof/profile") == (409, "a profile is being taken\n")
        proxy.profiling.set()
        assert (await first)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:15000"},
        {"Origin": "http://evil.example"},
        {"Host": "10.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize(("path", "method"), [("/config_dump", "GET"), ("/quitquitquit", "POST"), ("/nothing", "GET")])
async def test_a_web_page_gets_nothing(client, admin, proxy, headers, path: str, method: str):
    async with admin() as server:
        status, text = await ask(client, server, path, method, **headers)
    assert (status, text) == (403, "this port answers requests for localhost only\n")
    assert proxy.asked_to_end == 0


async def test_anything_else_is_an_empty_404(client, admin):
    async with admin() as server:
        assert await ask(client, server, "/debug/pprof/goroutine") == (404, "")


@pytest.mark.interop
async def test_curl_agrees(admin, proxy):
    curl = require_tool("curl")
    proxy.drained.set()
    async with admin() as server:
        port = server.addresses[0][1]
        dump = await run_tool(curl, "-sS", f"http://localhost:{port}/config_dump")
        level = await run_tool(curl, "-sS", "-X", "POST", f"http://localhost:{port}/logging?level=debug")
        rebound = await run_tool(
            curl, "-sS", "--resolve", f"evil.example:{port}:127.0.0.1", f"http://evil.example:{port}/config_dump"
        )
        ended = await run_tool(curl, "-sS", "-X", "POST", f"http://localhost:{port}/quitquitquit")
    assert json.loads(dump.stdout) == proxy.dump
    assert level.stdout == b"current log level is debug\n"
    assert rebound.stdout == b"this port answers requests for localhost only\n"
    assert ended.stdout == b"shutdown now\n"


async def test_the_filter_of_a_process_that_writes_its_lines_itself() -> None:
    ask = filter_of(Logs(LogSink(), filter=LogFilter.parse("info")))
    assert await ask(None, False) == "info"
    assert await ask("hyper=debug", False) == "hyper=debug,info"
    with pytest.raises(LogFilterError):
        await ask("=loud=", False)
    assert await ask(None, False) == "hyper=debug,info"
    assert await ask(None, True) == "info"
