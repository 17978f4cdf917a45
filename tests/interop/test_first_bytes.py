"""First bytes that travel with the CONNECT, judged by the real Envoy: what it lets in, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py.config import KIB
from tests.interop.callers import read_to_end, talk
from tests.support.envoy import start_envoy
from tests.support.processes import free_port
from tests.support.tcp_apps import TcpApp, echo, payload

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.node_proxies import NodeProxies
    from tests.support.certificates import MeshCertificates

pytestmark = pytest.mark.interop

REFUSED = 6
SAID = payload(16 * KIB)
WINDOW = 65_535


async def test_what_came_for_refused_tunnels_costs_the_others_no_window(
    certificates: MeshCertificates, node_proxies: NodeProxies, tmp_path: Path
) -> None:
    """More than a window of it: whoever comes then has the connection as it was."""
    node, address = node_proxies.here().client, node_proxies.spare_address()
    with start_envoy(
        "server", tmp_path, certificates.server, ADDRESS=address, STREAM_WINDOW=WINDOW, CONNECTION_WINDOW=WINDOW
    ) as envoy:
        nobody = f"{address}:{free_port(address)}"
        for _ in range(REFUSED):
            async with node.call(nobody) as caller:
                await caller.send(SAID)
                assert await read_to_end(caller) == (b"", "reset")
        async with TcpApp(echo, address) as app, node.call(app.authority) as caller:
            await talk(caller, SAID)
        assert envoy.stat("http.inbound.downstream_rq_5xx") == REFUSED
        assert envoy.stat("http.inbound.downstream_rq_2xx") == 1
        assert envoy.stat("http.inbound.downstream_cx_total") == 1
        assert envoy.stat("http.inbound.downstream_cx_rx_bytes_total") > REFUSED * len(SAID)
