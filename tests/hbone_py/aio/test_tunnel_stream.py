"""A tunnel's stream when its connection is lost; the rest of its promises is the contract's (`test_stream.py`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio import tunnel_stream
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.errors import ConnectionLost
from tests.hbone_py.aio.stream_pairs import tunnels
from tests.support.sockets import until
from tests.support.tcp_apps import payload

if TYPE_CHECKING:
    from hbone_py.aio.reactor import Reactor
    from tests.support.certificates import MeshCertificates


@pytest.mark.parametrize("is_read", [True, False], ids=["read late", "never read"])
async def test_what_arrived_can_still_be_read_when_the_connection_is_lost(
    reactor: Reactor, certificates: MeshCertificates, monkeypatch: pytest.MonkeyPatch, is_read: bool
) -> None:
    monkeypatch.setattr(tunnel_stream, "LEFTOVER_SECONDS", 0)
    said = payload(20_000)
    async with asyncio.timeout(20), tunnels(reactor, certificates) as (left, right):
        assert isinstance(right, TunnelStream)
        await left.send(said)
        await until(lambda: right._stream.unread == len(said), "all of it arrived")
        right.peer.close()
        if is_read:
            read = bytearray()
            while len(read) < len(said):
                read += await right.receive()
            assert read == said
        await until(lambda: not reactor.ledger.used, "nothing held")
        with pytest.raises(ConnectionLost):
            await right.receive()
