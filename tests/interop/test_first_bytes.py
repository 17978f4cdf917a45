"""First bytes that travel with the CONNECT, judged by the real Envoy: what it lets in, and what it refuses."""

from __future__ import annotations

import contextlib
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

SAID = payload(16 * KIB)
WINDOW = 65_535
ENOUGH = WINDOW + 2 * 16 * KIB
"""More than the windows let in, if nothing of it were given back."""


async def test_what_came_for_refused_tunnels_costs_the_others_no_window(
    certificates: MeshCertificates, node_proxies: NodeProxies, tmp_path: Path
) -> None:
    """More than a window of it: whoever comes then has the connection as it was."""
    node, address = node_proxies.here().client, node_proxies.spare_address()
    with start_envoy(
        "server", tmp_path, certificates.server, ADDRESS=address, STREAM_WINDOW=WINDOW, CONNECTION_WINDOW=WINDOW
    ) as envoy:
        nobody = f"{address}:{free_port(address)}"
        refused = 0
        while envoy.stat("http.inbound.downstream_cx_rx_bytes_total") < ENOUGH:
            async with node.call(nobody) as caller:
                with contextlib.suppress(ConnectionResetError):  # the refusal may be quicker than we are
                    await caller.send(SAID)
                assert await read_to_end(caller) == (b"", "reset")
            refused += 1
            assert refused < 100, "what is said travels with the CONNECT"
        async with TcpApp(echo, address) as app, node.call(app.authority) as caller:
            await talk(caller, SAID)
        assert envoy.stat("http.inbound.downstream_rq_5xx") == refused
        assert envoy.stat("http.inbound.downstream_rq_2xx") == 1
        assert envoy.stat("http.inbound.downstream_cx_total") == 1
