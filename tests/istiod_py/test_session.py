"""A client whose very kernel takes nothing more: its connection is cut, with all that waits for it."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.settings
import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from istiod_py.session import SessionLimits
from istiod_py.snapshot import Resource
from mesh_py.xds.types import ADDRESS, DELTA_DISCOVERY
from tests.support.discovery import Discovery, node_of
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

HUGE = 2**31 - 1


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield sock


def opening(authority: str) -> bytes:
    """A client that promises to take two gigabytes, and one request."""
    engine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    engine.initiate_connection()
    engine.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: HUGE})
    engine.increment_flow_control_window(HUGE - 65_535)
    headers = {":method": "POST", ":scheme": "http", ":path": DELTA_DISCOVERY, ":authority": authority}
    more = {"te": "trailers", "content-type": "application/grpc"}
    engine.send_headers(1, [*headers.items(), *more.items()])
    request = DeltaDiscoveryRequest(type_url=ADDRESS, node=node_of()).SerializeToString()
    engine.send_data(1, b"\0" + len(request).to_bytes(4, "big") + request)
    return engine.data_to_send()


def has_ended(sock: socket.socket) -> bool:
    """Whether, after what was on its way, nothing more comes: an end or a reset, but no silence."""
    with contextlib.suppress(ConnectionError):
        while sock.recv(1 << 20):
            pass
    return True


async def test_a_client_that_stops_reading_altogether_is_cut(address: str, sock: socket.socket) -> None:
    async with Discovery(limits=SessionLimits(send=0.2)).on(address) as discovery:
        for number in range(8):
            discovery.publish(ADDRESS, *(Resource(str(number), bytes(3 << 20)) for number in range(number + 1)))
        sock.connect((address, discovery.port))
        sock.sendall(opening(address))
        await eventually(lambda: discovery.count("pilot_xds_write_timeout") == 1, "cut off")
        await eventually(lambda: not len(discovery.clients), "forgotten")
        sock.settimeout(5)
        assert has_ended(sock)
