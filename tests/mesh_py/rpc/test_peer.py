"""Who is at the other end, as a handler learns it. What TLS proves is in test_server.py: it takes a real client."""

from __future__ import annotations

import asyncio

import pytest

from mesh_py.rpc.peer import RpcPeer


class Plain(asyncio.Transport):
    """A transport without TLS."""

    def __init__(self, peername: tuple[str, int] | None) -> None:
        super().__init__({"peername": peername})


@pytest.mark.parametrize(
    ("peername", "shown"),
    [(("10.0.0.1", 40000), "10.0.0.1:40000"), (("fd00::1", 40000), "[fd00::1]:40000"), (None, "a peer that is gone")],
)
def test_a_peer_without_tls_proves_nothing(peername, shown):
    peer = RpcPeer(Plain(peername))
    assert str(peer) == shown
    assert not peer.is_secure
    assert (peer.identities, peer.chain) == ((), ())
