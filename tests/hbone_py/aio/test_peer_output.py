"""PeerOutput: what is kept while the socket takes nothing, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.config import KIB, Http2Config
from hbone_py.errors import ErrorCode, RemoteProtocolError
from tests.support.frames import PREFACE, settings
from tests.support.peers import Owner
from tests.support.sockets import SMALL_SOCKETS, turns, until

if TYPE_CHECKING:
    from tests.support.peers import PeerMaker


async def test_a_peer_that_asks_and_never_reads_is_ended(peers: PeerMaker) -> None:
    owner = Owner()
    peer, puppet = peers.facing_server(owner, SMALL_SOCKETS, config=Http2Config(max_queued_control=64 * KIB))
    await puppet.shake_hands()
    puppet.say(PREFACE, settings())
    await until(lambda: peer.is_up, "up")
    while not owner.ends:
        puppet.nag()
        assert peer.engine.queued_bytes <= 64 * KIB + 300 * KIB
        await turns(2)
    assert isinstance(owner.ends[0], RemoteProtocolError)
    assert owner.ends[0].code == ErrorCode.ENHANCE_YOUR_CALM
