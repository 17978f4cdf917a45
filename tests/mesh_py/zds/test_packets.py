"""Packets and the descriptors that ride with them, over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from mesh_py.zds.messages import LONGEST, UnreadableMessage
from mesh_py.zds.packets import Packet, PacketSocket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pair() -> Iterator[tuple[PacketSocket, PacketSocket]]:
    one, other = map(PacketSocket, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    with one, other:
        yield one, other


async def test_packets_stay_apart(pair: tuple[PacketSocket, PacketSocket]) -> None:
    one, other = pair
    await one.send(b"first")
    await one.send(b"second")
    assert [await other.receive(), await other.receive()] == [Packet(b"first"), Packet(b"second")]


async def test_a_descriptor_arrives_as_another_of_the_same_file(pair, tmp_path: Path) -> None:
    one, other = pair
    mine = os.open(tmp_path, os.O_RDONLY)
    await one.send(b"x", [mine])
    packet = await other.receive()
    [theirs] = packet.descriptors
    assert theirs != mine
    assert os.path.samestat(os.fstat(theirs), os.fstat(mine))
    assert not os.get_inheritable(theirs)
    packet.close()
    os.close(mine)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(theirs)


@pytest.mark.parametrize("size", [1, LONGEST])
async def test_the_longest_is_read(pair, size: int) -> None:
    await pair[0].send(b"x" * size)
    assert await pair[1].receive() == Packet(b"x" * size)


async def test_what_is_longer_is_refused(pair) -> None:
    await pair[0].send(b"x" * (LONGEST + 1))
    with pytest.raises(UnreadableMessage):
        await pair[1].receive()


async def test_who_waits_is_told_of_a_packet_and_of_the_end(pair) -> None:
    one, other = pair
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(other.receive())
        await asyncio.sleep(0)
        assert not other.is_over()
        await one.send(b"x")
        assert await waiting == Packet(b"x")
    one.close()
    assert other.is_over()
    assert await other.receive() is None


async def test_who_sends_waits_for_room(pair) -> None:
    one, other = pair
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        sending = group.create_task(send_many(one, 2000))
        await asyncio.sleep(0)
        assert not sending.done()
        for _ in range(2000):
            await other.receive()


async def send_many(sock: PacketSocket, count: int) -> None:
    for _ in range(count):
        await sock.send(b"x" * LONGEST)


async def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PacketSocket.connect(tmp_path / "z")
    PacketSocket.listener(tmp_path / "z").close()
    with pytest.raises(ConnectionRefusedError):
        PacketSocket.connect(tmp_path / "z")
    with (
        PacketSocket.listener(tmp_path / "z"),
        PacketSocket.connect(tmp_path / "z") as sock,
    ):  # in the place of what was
        assert not sock.is_over()
    assert (tmp_path / "z").stat().st_mode & 0o777 == 0o600
