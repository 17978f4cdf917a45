"""The pages of a layer 7 proxy as curl sees them; /clusters with clusters in it is asked in the tests of the roles."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mesh_py.admin.http_server import serve_http
from mesh_py.admin.layer7_pages import Layer7Pages
from mesh_py.admin.readiness import Readiness
from mesh_py.telemetry.facts import ConnectionFacts, Party
from mesh_py.telemetry.metrics import Metrics
from tests.support.processes import run_tool
from tests.support.require import require_tool

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


def pages(readiness: Readiness) -> Layer7Pages:
    """Of a proxy with one listener, one open connection, and no cluster."""
    listener = SimpleNamespace(address=("127.0.0.1", 15006))
    plane = SimpleNamespace(listeners={"inbound": listener}, clusters=SimpleNamespace(known=list))
    metrics = Metrics("1.0")
    metrics.traffic.open(ConnectionFacts("source", Party(workload="cart"), None))
    return Layer7Pages(cast("Any", plane), metrics, readiness)


@pytest.mark.interop
@pytest.mark.parametrize(
    ("path", "is_ready", "status", "said"),
    [
        pytest.param("/listeners", True, 200, "inbound::127.0.0.1:15006\n", id="listeners"),
        pytest.param("/clusters", True, 200, "", id="no cluster"),
        pytest.param("/ready", True, 200, "LIVE\n", id="ready"),
        pytest.param("/ready", False, 503, "PRE_INITIALIZING\n", id="not yet"),
        pytest.param("/stats", True, 200, 'source_workload="cart"', id="for people"),
        pytest.param("/stats/prometheus", True, 200, "# TYPE istio_tcp_sent_bytes_total counter", id="for scrapers"),
    ],
)
async def test_a_page(
    free_socket: Callable[[], socket.socket], path: str, is_ready: bool, status: int, said: str
) -> None:
    readiness = Readiness("workloads")
    if is_ready:
        readiness.done("workloads")
    async with serve_http([free_socket()], pages(readiness).handlers()) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}{path}"
        done = await run_tool(require_tool("curl"), "-sS", "-w", "%{http_code}", url)
    told = done.stdout.decode()
    assert told.endswith(str(status))
    assert said in told
