"""One sidecar as operators run it: what its surfaces show, how it merges metrics, how it drains, what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from aiohttp import web

from sidecar_py.command_line import run
from tests.sidecar_py.applications import web_application
from tests.sidecar_py.refusals import refusal
from tests.sidecar_py.sidecars import HOST, PORT, Addresses
from tests.support.processes import eventually, poll
from tests.ztunnel_py.worlds import CLEAN, START_SECONDS, ProxyProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-W", "error", "-m", "sidecar_py"]
THEIRS = "# TYPE app_calls counter\napp_calls_total 7\n# EOF\n"


def mesh_of(at: Addresses) -> str:
    """httpbin without mutual TLS, so that one sidecar is enough, and a policy that cannot be kept in full."""
    return at.mesh(
        kind="mutualTls: false",
        further="""\
manifests:
- apiVersion: security.istio.io/v1
  kind: RequestAuthentication
  metadata: {name: tokens, namespace: default}
  spec: {jwtRules: [{issuer: somebody, jwksUri: "https://127.0.0.1:9/jwks"}]}
""",
    )


@contextlib.contextmanager
def running(folder: Path, at: Addresses, **more: str) -> Iterator[ProxyProcess]:
    """The sidecar of `sleep`, ready."""
    (folder / "mesh.yaml").write_text(mesh_of(at))
    environment = {
        **CLEAN,
        "PROXY_WORKLOAD_INFO": "default/sleep/sleep",
        "PROXY_BIND_ADDRESS": at.sleep,
        "LOCAL_XDS_PATH": str(folder / "mesh.yaml"),
        "FAKE_CA": "true",
        "FAKE_CA_DIR": str(folder / "ca"),
        "UNSTABLE_ENABLE_SOCKS5": "true",
        **more,
    }
    process = ProxyProcess(COMMAND, folder / "sidecar.log", environment)
    try:
        process.wait_until(lambda: get(at.sleep, 15021, "/healthz/ready") is not None, "ready", START_SECONDS)
        yield process
    finally:
        process.stop()


def get(host: str, port: int, path: str) -> str | None:
    """The body of a good answer."""
    with contextlib.suppress(httpx.HTTPError):
        answer = httpx.get(f"http://{host}:{port}{path}", trust_env=False, verify=False, timeout=10)
        return answer.text if answer.status_code == 200 else None
    return None


async def ask(host: str, port: int, path: str) -> str:
    """The body of an answer that has to be good, without stopping the loop."""
    found = await asyncio.to_thread(get, host, port, path)
    assert found is not None, path
    return found


@contextlib.asynccontextmanager
async def metrics_of_the_application(host: str, port: int) -> AsyncIterator[asyncio.Event]:
    """An application that is scraped; who asks for `/slow` is answered once the event is set."""
    may_answer = asyncio.Event()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=THEIRS)

    async def slow(_: web.Request) -> web.Response:
        await may_answer.wait()
        return web.Response(text="in the end")

    app = web.Application()
    app.router.add_get("/app-metrics", metrics)
    app.router.add_get("/slow", slow)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    try:
        yield may_answer
    finally:
        await runner.cleanup()


async def test_what_its_surfaces_show(tmp_path: Path) -> None:
    at = Addresses()
    with running(tmp_path, at):
        async with (
            web_application(at.httpbin, at.port),
            httpx.AsyncClient(proxy=f"socks5h://{at.sleep}:15080", trust_env=False, verify=False, timeout=10) as client,
        ):
            assert (await client.get(f"http://{HOST}:{PORT}/get")).status_code == 200

            clusters = await ask(at.sleep, 15000, "/clusters")
            assert f"::{at.httpbin}:{at.port}::plain::weight::1::rq_active::0::health_flags::healthy" in clusters
            listeners = await ask(at.sleep, 15000, "/listeners")
            for name, port in (("outbound", 15001), ("plaintext", 15006), ("inbound", 15008), ("socks5", 15080)):
                assert f"{name}::{at.sleep}:{port}\n" in listeners
            assert await ask(at.sleep, 15000, "/ready") == "LIVE\n"
            assert 'istio_requests_total{reporter="source"' in await ask(at.sleep, 15000, "/stats")
            assert "# TYPE istio_requests_total counter" in await ask(at.sleep, 15000, "/stats/prometheus")

            dump = json.loads(await ask(at.sleep, 15000, "/config_dump"))
            assert dump["manifests"] == ["RequestAuthentication default/tokens"]
            assert any("jwksUri" in problem for problem in dump["problems"])


async def test_the_applications_metrics_are_merged_with_ours(tmp_path: Path) -> None:
    at = Addresses()
    scraped = {"ISTIO_PROMETHEUS_ANNOTATIONS": '{"scrape": "true", "path": "/app-metrics", "port": "9100"}'}
    with running(tmp_path, at, APP_ADDRESS=at.app, **scraped) as process:
        async with metrics_of_the_application(at.app, 9100):
            merged = await ask(at.sleep, 15020, "/stats/prometheus")
            assert "# EOF" not in merged
            assert merged.endswith("app_calls_total 7\n")
            assert 'istio_build{component="proxy"' in merged
        merged = await ask(at.sleep, 15020, "/stats/prometheus")
        assert 'istio_build{component="proxy"' in merged
        assert "app_calls_total" not in merged
        left_out = f"metrics at http://{at.app}:9100/app-metrics are left out"
        await eventually(lambda: left_out in process.output, "said so in the log")


async def test_it_drains_and_ends_well(tmp_path: Path) -> None:
    at = Addresses()
    with running(tmp_path, at) as process:
        async with (
            metrics_of_the_application(at.httpbin, at.port) as may_answer,
            httpx.AsyncClient(proxy=f"socks5h://{at.sleep}:15080", trust_env=False, verify=False, timeout=10) as client,
        ):
            async with asyncio.TaskGroup() as tasks:
                pending = tasks.create_task(client.get(f"http://{HOST}:{PORT}/slow"))
                await asyncio.to_thread(until_active, at)
                ending = tasks.create_task(asyncio.to_thread(process.end_with, signal.SIGTERM))
                await asyncio.to_thread(until_draining, at)
                may_answer.set()
            assert (pending.result().text, ending.result()) == ("in the end", 0)


def until_draining(at: Addresses) -> None:
    """Wait until probes fail."""
    poll(lambda: get(at.sleep, 15021, "/healthz/ready") is None, "draining")


def until_active(at: Addresses) -> None:
    """Wait until a request is on its way."""
    poll(lambda: "::rq_active::1" in (get(at.sleep, 15000, "/clusters") or ""), "under way")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param({"PROXY_WORKLOAD_INFO": "a"}, "PROXY_WORKLOAD_INFO", id="no workload"),
        pytest.param({"WAYPOINT_FORM": "tunnel"}, "WAYPOINT_FORM", id="no form"),
        pytest.param({"LOCAL_XDS": "workloads: {"}, "LOCAL_XDS", id="no YAML"),
    ],
)
def test_one_line_for_what_is_wrong(
    told: dict[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"PROXY_WORKLOAD_INFO": "default/sleep/sleep", **told}
    assert expected in refusal(run, given, monkeypatch, capsys)
