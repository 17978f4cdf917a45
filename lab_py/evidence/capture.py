"""Captures: a packet socket on a device of a namespace, read once the request is over (redirection f)."""

from __future__ import annotations

import fcntl
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from lab_py.errors import LabError
from lab_py.evidence.packets import read_packet
from lab_py.fabric import PACKET_HALF

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from lab_py.evidence.packets import Packet
    from lab_py.netns import Namespaces

Place = tuple[str, str]
"""A namespace and one of its devices."""
_ETH_P_ALL = 3
_MOST_FRAME = 65_536
_BUFFER = 4 << 20
"""Bytes the kernel may hold for one capture; what does not fit is lost, and `Capture.lost` says so."""
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_TIMESTAMPNS = 35
_SIOCGIFFLAGS, _IFF_UP, _NAME_SIZE, _REQUEST_SIZE = 0x8913, 1, 16, 40
_TIME = Struct("@qq")
"""The kernel's time of a packet: seconds since 1970, nanoseconds."""


class Frame(NamedTuple):
    """A frame as a device saw it."""

    nanoseconds: int
    """Since 1970."""
    data: bytes


class Capture:
    """All packets that cross one device from now on."""

    def __init__(self, device: str) -> None:
        """Raises OSError: no such device, or no right."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.bind((device, _ETH_P_ALL))
        except OSError:
            self._socket.close()
            raise
        self._is_loopback = device == "lo"
        self.frames: list[Frame] = []
        """All that `packets` has read, TCP or not; the kernel's buffer bounds them."""

    def packets(self) -> list[Packet]:
        """The TCP segments that have come since the last call."""
        found: list[Packet] = []
        while True:
            try:
                data, told, _, (_, _, kind, *_) = self._socket.recvmsg(_MOST_FRAME, socket.CMSG_SPACE(_TIME.size))
            except BlockingIOError:
                return found
            if self._is_loopback and kind == socket.PACKET_OUTGOING:
                continue  # on lo every packet leaves and comes
            self.frames.append(Frame(_nanoseconds(told), data))
            packet = read_packet(data)
            if packet is not None:
                found.append(packet)

    def lost(self) -> int:
        """Packets for which there was no room."""
        raw = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return int.from_bytes(raw[4:8], "little")

    def close(self) -> None:
        """Stop."""
        self._socket.close()


def _nanoseconds(told: list[tuple[int, int, bytes]]) -> int:
    for _, _, raw in told:  # there is no other thing that we have asked to be told
        seconds, nanoseconds = _TIME.unpack_from(raw)
        return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return 0


def every_place(namespaces: Namespaces, names: Iterable[str]) -> list[Place]:
    """Every device that is up, of these namespaces; our own halves of tunnel devices apart."""
    found: list[Place] = []
    for namespace in names:
        devices = namespaces.inside(namespace, _devices)
        found += [(namespace, device) for device in devices if not device.endswith(PACKET_HALF)]
    return found


def _devices() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        return [name for _, name in socket.if_nameindex() if _is_up(asking, name)]


def _is_up(asking: socket.socket, device: str) -> bool:
    answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, device.encode().ljust(_REQUEST_SIZE, b"\0"))
    return bool(int.from_bytes(answer[_NAME_SIZE : _NAME_SIZE + 2], sys.byteorder) & _IFF_UP)


@contextmanager
def captures(namespaces: Namespaces, places: Iterable[Place]) -> Iterator[dict[Place, Capture]]:
    """A capture at each place as long as the context lasts. Raises LabError."""
    found: dict[Place, Capture] = {}
    try:
        for namespace, device in dict.fromkeys(places):
            try:
                found[namespace, device] = namespaces.inside(namespace, lambda device=device: Capture(device))  # type: ignore[misc]
            except OSError as error:
                raise LabError(f"{namespace}: cannot capture at {device}: {error.strerror}") from None
        yield found
    finally:
        _close(found.values())


def _close(found: Collection[Capture]) -> None:
    """All at once: at each the kernel waits until nobody looks any more, and waits for all together as long."""
    if found:
        with ThreadPoolExecutor(len(found)) as threads:
            list(threads.map(Capture.close, found))
