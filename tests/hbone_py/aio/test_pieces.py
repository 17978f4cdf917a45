"""Bulk in pieces that fill their records: on the wire, and how small frames lie."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.outbox import SMALL
from hbone_py.aio.pieces import (
    READ_SIZE,
    RECORDS,
    SCATTERED_FRAME,
    SHORT_PIECE,
    SHORT_RECORDS,
    scattered,
    write_headers,
)
from hbone_py.aio.reactor import SHORT_PIECES
from hbone_py.config import KIB, MIB, Http2Config
from hbone_py.frame_reader import FrameReader
from hbone_py.tls.records import FULL_RECORD
from tests.support.peers import Owner, PeerPair
from tests.support.sockets import Buffers, Heard, tcp_pair, turns

if TYPE_CHECKING:
    from tests.support.peers import PeerMaker

ROOMY = Buffers(MIB, MIB)
"""One read finds all there is."""


@pytest.mark.parametrize("largest", [16 * KIB, MIB], ids=["small frames", "large frames"])
async def test_bulk_fills_its_records(peers: PeerMaker, largest: int) -> None:
    """A frame's header must not push a record's last bytes into one of their own."""
    pair, wire = tapped_pair(peers, Http2Config(max_frame_size=largest))
    await pair.up()
    relayed = await pair.relayed(buffers=ROOMY)
    await turns()
    wire.clear()
    peers.near.short_pieces = SHORT_PIECES  # so that a piece fits any machine's buffers
    rest = 5000
    said = bytes(SMALL + (SHORT_PIECE if largest == MIB else SHORT_RECORDS * SCATTERED_FRAME) + rest)
    assert relayed.near.stuff(said) == len(said)
    relayed.near.end()
    assert await relayed.far.hear_all() == Heard(said, "eof")
    lengths = lengths_of_records(wire)
    full = 1 + SHORT_RECORDS
    assert lengths[:full] == [FULL_RECORD] * full
    assert lengths[full] > rest
    relayed.close()


def tapped_pair(peers: PeerMaker, server_config: Http2Config) -> tuple[PeerPair, bytearray]:
    """A client and a server, and what the client has put on the wire between them."""
    near, client_end = tcp_pair(ROOMY)
    server_end, far = tcp_pair(ROOMY)
    wire = bytearray()
    loop = asyncio.get_running_loop()

    def carry(source: socket.socket, target: socket.socket, seen: bytearray) -> None:
        data = source.recv(MIB)
        seen.extend(data)
        target.sendall(data)
        if not data:
            loop.remove_reader(source)
            target.shutdown(socket.SHUT_WR)

    loop.add_reader(client_end, carry, client_end, server_end, wire)
    loop.add_reader(server_end, carry, server_end, client_end, bytearray())
    owners = Owner(), Owner()
    server, client = peers.server(far, owners[1], config=server_config), peers.client(near, owners[0])
    server.start()
    client.start()
    return PeerPair(client, server, *owners), wire


def lengths_of_records(wire: bytes | bytearray) -> list[int]:
    """Of whole records, headers included."""
    lengths, at = [], 0
    while at < len(wire):
        lengths.append(5 + int.from_bytes(wire[at + 3 : at + 5], "big"))
        at += lengths[-1]
    return lengths


class Payloads:
    """What a frame reader tells of DATA on stream 5."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.text = b""

    def data_started(self, stream_id: int, length: int, padding: int) -> None:
        assert (stream_id, padding) == (5, 0)
        self.sizes.append(length)

    def whole(self, stream_id: int, payload: memoryview) -> None:
        self.data_started(stream_id, len(payload), 0)
        self.payload(stream_id, [payload], len(payload))

    def payload(self, stream_id: int, pieces: list[memoryview], size: int) -> None:
        self.text += b"".join(pieces)

    def data_ended(self, stream_id: int) -> None:
        raise AssertionError("no frame ends the stream")

    def empty_end(self, stream_id: int) -> None:
        self.data_ended(stream_id)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (1, [1]),
        (SCATTERED_FRAME, [SCATTERED_FRAME]),
        (SCATTERED_FRAME + 1, [SCATTERED_FRAME, 1]),
        (RECORDS * SCATTERED_FRAME - 1, [SCATTERED_FRAME] * (RECORDS - 1) + [SCATTERED_FRAME - 1]),
        (RECORDS * SCATTERED_FRAME, [SCATTERED_FRAME] * RECORDS),
    ],
)
def test_small_frames_lie_one_behind_the_other(count: int, sizes: list[int]) -> None:
    view = memoryview(bytearray(READ_SIZE))
    said = bytes(range(251)) * (READ_SIZE // 251 + 1)
    at = 0
    for target in scattered(view):
        target[:] = said[at : at + len(target)]
        at += len(target)
    heard = Payloads()
    reader = FrameReader(heard, lambda *_: None, 16 * KIB)
    reader.feed(view, write_headers(view, count, 5))
    assert (heard.sizes, heard.text) == (sizes, said[:count])
    assert reader.is_between_frames
