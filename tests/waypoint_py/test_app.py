"""One waypoint as operators run it: what its surfaces show, how it follows its file, how it drains, what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.sidecar_py.applications import web_application
from tests.sidecar_py.refusals import refusal
from tests.sidecar_py.test_app import ask, get
from tests.support.collector import collector
from tests.support.processes import eventually, poll
from tests.waypoint_py.manifests import manifests, methods, policy, security
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, client, door, pod
from tests.ztunnel_py.worlds import CLEAN, START_SECONDS, ProxyProcess
from waypoint_py.command_line import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    import httpx

    from tests.support.certificates import CertificateFiles

    Certificates = Mapping[str, CertificateFiles]

COMMAND = [sys.executable, "-W", "error", "-m", "waypoint_py"]


@contextlib.contextmanager
def running(
    folder: Path, at: Addresses, certificate: CertificateFiles, further: str = "", **more: str
) -> Iterator[ProxyProcess]:
    """A waypoint that follows mesh.yaml, ready."""
    (folder / "mesh.yaml").write_text(at.mesh(further=further))
    environment = {
        **CLEAN,
        "PROXY_WORKLOAD_INFO": "default/waypoint/waypoint",
        "PROXY_BIND_ADDRESS": at.waypoint,
        "LOCAL_XDS_PATH": str(folder / "mesh.yaml"),
        "WORKLOAD_CERT_CHAIN": str(certificate.chain),
        "WORKLOAD_KEY": str(certificate.key),
        "WORKLOAD_ROOT_CERT": str(certificate.roots),
        **more,
    }
    process = ProxyProcess(COMMAND, folder / "waypoint.log", environment)
    try:
        process.wait_until(lambda: get(at.waypoint, 15021, "/healthz/ready") is not None, "ready", START_SECONDS)
        yield process
    finally:
        process.stop()


@contextlib.asynccontextmanager
async def around(
    at: Addresses, certificates: Certificates, may_answer: asyncio.Event | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """What is before and behind it."""
    async with (
        web_application(at.v1, at.port, may_answer),
        pod(at.v1, at.port, certificates["httpbin"]),
        door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
        client(way_in) as http,
    ):
        yield http


async def test_what_its_surfaces_show_and_how_it_follows_its_file(certificates: Certificates, tmp_path: Path) -> None:
    at = Addresses()
    target = {"targetRefs": [{"group": "", "kind": "Service", "name": "httpbin"}]}
    issuer = {"issuer": "somebody", "jwksUri": "https://127.0.0.1:9/jwks"}
    tokens = security("RequestAuthentication", "tokens", "default", {**target, "jwtRules": [issuer]})
    with running(tmp_path, at, certificates["waypoint"], manifests(tokens)) as process:
        async with around(at, certificates) as http:
            assert (await http.get("/ip")).status_code == 200

            clusters = await ask(at.waypoint, 15000, "/clusters")
            pod_ = f"{at.v1}:{at.port}"
            assert f"inbound-vip|{PORT}|http|{HOST}::{pod_}::hbone::{pod_}::weight::1::" in clusters
            assert await ask(at.waypoint, 15000, "/listeners") == f"inbound::{at.waypoint}:15008\n"
            assert await ask(at.waypoint, 15000, "/ready") == "LIVE\n"
            metrics = await ask(at.waypoint, 15020, "/metrics")
            assert 'istio_requests_total{reporter="waypoint"' in metrics
            assert 'istio_build{component="proxy"' in metrics
            dump = json.loads(await ask(at.waypoint, 15000, "/config_dump"))
            assert dump["manifests"] == ["RequestAuthentication default/tokens"]
            assert any("jwksUri" in problem for problem in dump["problems"])

            mesh = tmp_path / "mesh.yaml"
            mesh.write_text(at.mesh(further=manifests(policy(methods("POST")))))
            await until_status(http, 403)
            mesh.write_text(at.mesh(further=manifests(filters=[{"file": "/nowhere.py", "name": "A"}])))
            await eventually(lambda: "the edit is ignored" in process.output, "a broken edit said so")
            assert "/nowhere.py: no such file" in process.output
            await until_status(http, 403)


async def until_status(http: httpx.AsyncClient, status: int) -> None:
    async with asyncio.timeout(10):
        while (await http.get("/ip")).status_code != status:
            pass


async def test_it_drains_and_ends_well(certificates: Certificates, tmp_path: Path) -> None:
    """Spans that wait for others to go with go at the end."""
    at = Addresses()
    async with collector() as there:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.url, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
        with running(tmp_path, at, certificates["waypoint"], **told) as process:
            may_answer = asyncio.Event()
            async with around(at, certificates, may_answer) as http, asyncio.TaskGroup() as tasks:
                pending = tasks.create_task(http.get("/held"))
                await asyncio.to_thread(until_active, at)
                ending = tasks.create_task(asyncio.to_thread(process.end_with, signal.SIGTERM))
                await eventually(lambda: "shutting down: draining" in process.output, "draining")
                may_answer.set()
            assert (pending.result().status_code, ending.result()) == (200, 0)
        assert there.tree() == ["waypoint.default server", "  waypoint.default client"]
        assert there.spans[0].resource["k8s.pod.name"] == "waypoint"


def until_active(at: Addresses) -> None:
    """Wait until a request is on its way."""
    poll(lambda: "::rq_active::1" in (get(at.waypoint, 15000, "/clusters") or ""), "under way")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param({"LOCAL_XDS": "workloads: {"}, "LOCAL_XDS", id="no YAML"),
        pytest.param({"LOCAL_XDS": "filters: [{file: /no.py, name: A}]"}, "/no.py: no such file", id="no filter"),
    ],
)
def test_one_line_for_what_is_wrong(
    told: dict[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"PROXY_WORKLOAD_INFO": "default/waypoint/waypoint", **told}
    assert expected in refusal(run, given, monkeypatch, capsys)
