"""Packets with descriptors over a SOCK_SEQPACKET socket (hbone-dataplane 10.1)."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.zds.messages import LONGEST, UnreadableMessage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST_DESCRIPTORS = 8
"""Received with one packet, so that they can be closed; one is the most that is allowed."""
_ITEM = array.array("i").itemsize


class Packet(NamedTuple):
    """What came in one piece. Whoever receives it closes the descriptors, or passes them on."""

    data: bytes
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        """Let go of the descriptors."""
        for fd in self.descriptors:
            os.close(fd)


class PacketSocket:
    """One end of a conversation. Closed when its block is left."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket."""
        sock.setblocking(False)
        self._sock = sock

    @staticmethod
    def connect(path: Path) -> PacketSocket:
        """Reach who listens at a path. Raises OSError."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)  # a full queue is a refusal, too
        try:
            sock.connect(str(path))
        except OSError:
            sock.close()
            raise
        return PacketSocket(sock)

    def __enter__(self) -> PacketSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def close(self) -> None:
        """End the conversation. Safe to call twice."""
        self._sock.close()

    @staticmethod
    def listener(path: Path) -> socket.socket:
        """A socket that others `connect` to, in the place of what may be left at the path. Raises OSError."""
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.setblocking(False)
            sock.bind(str(path))
            path.chmod(0o600)
            sock.listen()
        except OSError:
            sock.close()
            raise
        return sock

    def is_over(self) -> bool:
        """Whether the other side has ended the conversation. Nobody may be waiting to receive."""
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """One packet. Raises OSError."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        while True:
            try:
                self._sock.sendmsg([data], rights)
            except BlockingIOError:
                await _until_ready(self._sock, for_writing=True)
            else:
                return

    async def receive(self) -> Packet | None:
        """The next packet; None at the end. Raises OSError, and UnreadableMessage for one that is too large."""
        while True:
            try:
                found = self._sock.recvmsg(
                    LONGEST, socket.CMSG_SPACE(_MOST_DESCRIPTORS * _ITEM), socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                await _until_ready(self._sock, for_writing=False)
            else:
                return _packet(*found[:3])


def _packet(data: bytes, ancillary: list[tuple[int, int, bytes]], flags: int) -> Packet | None:
    packet = Packet(data, tuple(_descriptors(ancillary)))
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        packet.close()
        raise UnreadableMessage(f"it is longer than {LONGEST} bytes, or brings too many descriptors")
    if not data and not packet.descriptors:
        return None  # no message is empty, so this is the end
    return packet


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % _ITEM])
    return found.tolist()


async def _until_ready(sock: socket.socket, *, for_writing: bool) -> None:
    """Raises OSError if the socket is closed meanwhile."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if for_writing else (loop.add_reader, loop.remove_reader)

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    fd = sock.fileno()
    add(fd, wake)
    try:
        await ready
    finally:
        remove(fd)
