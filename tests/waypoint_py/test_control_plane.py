"""The control plane's own example, end to end: node proxies and a waypoint, each a process that joins, and curl."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

import istiod_py
from lab_py.apps import httpbin
from lab_py.apps.caller_record import CallerRecord
from mesh_py.identity.tokens import Caller, TokenKey
from tests.sidecar_py.test_control_plane import is_ready
from tests.support.istiod import start_istiod
from tests.support.processes import PeerProcess, answers, loopback_address
from tests.ztunnel_py.worlds import CLEAN, START_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.istiod import Istiod

pytestmark = pytest.mark.interop

EXAMPLE = Path(istiod_py.__file__).parent / "examples" / "waypoint"
URL = "http://httpbin.default.svc.cluster.local:8000"


def joins(role: str, istiod: Istiod, token: str, **environment: str) -> PeerProcess:
    """A proxy that has all it knows, and its certificate, from the control plane."""
    told = {
        **CLEAN,
        "XDS_ADDRESS": istiod.url,
        "XDS_ROOT_CA": str(istiod.roots),
        "CA_ADDRESS": istiod.url,
        "CA_ROOT_CA": str(istiod.roots),
        "AUTH_TOKEN": token,
        **environment,
    }
    log = istiod.state / f"{role}-{environment['PROXY_BIND_ADDRESS']}.log"
    return PeerProcess([sys.executable, "-m", role], log, told)


def node(istiod: Istiod, name: str, address: str, **more: str) -> PeerProcess:
    account = Caller("istio-system", "ztunnel", pod=f"ztunnel-{name}", node=name)
    token = TokenKey.open(istiod.state).mint(account, time.time())
    told = {"PROXY_MODE": "node", "NODE_NAME": name, "POD_NAME": f"ztunnel-{name}", "POD_NAMESPACE": "istio-system"}
    return joins("ztunnel_py", istiod, token, PROXY_BIND_ADDRESS=address, **told, **more)


@contextlib.contextmanager
def ended(*processes: PeerProcess) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.stop()


async def test_the_example_with_a_waypoint(tmp_path: Path) -> None:
    folder, state = tmp_path / "mesh", tmp_path / "state"
    shutil.copytree(EXAMPLE, folder)
    sleep, pod, way = loopback_address(), loopback_address(), loopback_address()
    places = {"127.0.2.1": pod, "127.0.3.1": way, "127.0.0.1": sleep, "127.0.1.1": sleep}
    for file in folder.iterdir():
        text = file.read_text()
        for written, taken in places.items():
            text = text.replace(f"podIP: {written}\n", f"podIP: {taken}\n")
        file.write_text(text)
    with start_istiod(folder, state, loopback_address()) as istiod:
        istiod.wait_ready()
        token = TokenKey.open(state).mint(Caller("default", "waypoint"), time.time())
        waypoint = joins(
            "waypoint_py", istiod, token, PROXY_WORKLOAD_INFO="default/waypoint/waypoint", PROXY_BIND_ADDRESS=way
        )
        socks = {"UNSTABLE_ENABLE_SOCKS5": "true", "SOCKS5_SOURCE_WORKLOAD": "default/sleep"}
        nodes = (node(istiod, "node-b", pod), node(istiod, "node-a", sleep, **socks))
        with ended(waypoint, *nodes):
            for process, address in zip((waypoint, *nodes), (way, pod, sleep), strict=True):
                process.wait_until(lambda where=address: is_ready(where), "ready", START_SECONDS)  # type: ignore[misc]
            record = CallerRecord()
            async with (
                httpbin.serve(pod, 8080, "httpbin", record),
                httpx.AsyncClient(proxy=f"socks5h://{sleep}:15080", trust_env=False, verify=False, timeout=10) as http,
            ):

                async def status(method: str, path: str) -> int:
                    return (await http.request(method, f"{URL}{path}")).status_code

                assert (await http.get(f"{URL}/v2")).json()["headers"]["x-envoy-original-path"] == "/v2"
                assert [call.path for call in record.calls()] == ["/anything"]
                assert await status("POST", "/anything") == 403
                policies = folder / "policies.yaml"
                policies.write_text(policies.read_text().replace("- GET", "- POST"))

                async def ask() -> int:
                    return await status("POST", "/anything")

                await answers(ask, lambda code: code == 200, "allowed")
                assert await status("GET", "/ip") == 403
            assert istiod.count("pilot_total_xds_rejects") == 0
            async with httpx.AsyncClient(trust_env=False, verify=False) as http:
                metrics = (await http.get(f"http://{way}:15020/metrics")).text
            lines = [line for line in metrics.splitlines() if line.startswith("istio_requests_total")]
            told = 'reporter="waypoint"', 'source_principal="spiffe://cluster.local/ns/default/sa/sleep"'
            assert lines
            assert all(label in line for line in lines for label in told)
