"""The Geneve tunnels' ends in user space, where the kernel has no driver for them (redirection d.6).

One UDP socket per namespace, and one device per tunnel: a TAP, or half of a veth pair that we read and write by a
packet socket where no TAP can be made. One thread serves them all; a tunnel carries a packet or two per connection.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import struct
import threading
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from lab_py.geneve import GeneveError, decode, header
from lab_py.redirect.names import GENEVE_PORT

if TYPE_CHECKING:
    from typing import Protocol

    class Device(Protocol):
        """A tunnel's device: Ethernet frames."""

        def fileno(self) -> int: ...
        def read(self) -> bytes: ...
        def write(self, frame: memoryview) -> None: ...
        def close(self) -> None: ...


_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_SIOCETHTOOL = 0x8946
_OFFLOADS = (0x17, 0x1F, 0x24)
"""ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO: unfinished checksums would leave the machine (redirection d.6)."""
_ETH_P_ALL = 3
_MOST_FRAME = 65_536
_PACKETS_PER_TURN = 64
_LOOK_SECONDS = 0.5
TUN = "/dev/net/tun"


class Tap:
    """A TAP device of the namespace it was made in."""

    def __init__(self, name: str) -> None:
        """Raises OSError: no right, or no such driver."""
        self._fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(self._fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
        except OSError:
            os.close(self._fd)
            raise

    def fileno(self) -> int:
        """For selectors."""
        return self._fd

    def read(self) -> bytes:
        """A frame. Raises BlockingIOError."""
        return os.read(self._fd, _MOST_FRAME)

    def write(self, frame: memoryview) -> None:
        """Give the device a frame."""
        os.write(self._fd, frame)

    def close(self) -> None:
        """The device goes away with it."""
        os.close(self._fd)


class PacketPort:
    """The hidden half of a pair of devices."""

    def __init__(self, device: str, hidden: str) -> None:
        """`device` is the half that has the tunnel's name. Raises OSError."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            for name in (device, hidden):
                _finish_packets(self._socket, name)
            self._socket.bind((hidden, _ETH_P_ALL))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def read(self) -> bytes:
        """A frame that left the device; empty for one of our own. Raises BlockingIOError."""
        frame, (_, _, kind, *_) = self._socket.recvfrom(_MOST_FRAME)
        return b"" if kind == socket.PACKET_OUTGOING else frame

    def write(self, frame: memoryview) -> None:
        """Give the device a frame."""
        self._socket.send(frame)

    def close(self) -> None:
        """Stop."""
        self._socket.close()


def _finish_packets(sock: socket.socket, device: str) -> None:
    """Have the kernel compute checksums and cut segments before we see a packet."""
    for command in _OFFLOADS:
        value = array("I", (command, 0))
        request = struct.pack("16sP16x", device.encode(), value.buffer_info()[0])
        fcntl.ioctl(sock, _SIOCETHTOOL, request)


@dataclass(slots=True)
class Carried:
    """Frames that crossed one tunnel end."""

    sent: int = 0
    received: int = 0


@dataclass(slots=True)
class TunnelEnd:
    """All tunnels of one namespace to one other."""

    namespace: str
    sock: socket.socket
    remote: str
    devices: dict[int, Device]
    """By VNI."""
    carried: dict[int, Carried] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.carried = {vni: Carried() for vni in self.devices}

    def from_device(self, vni: int, *, is_lost: bool = False) -> None:
        """Frames wait on a device: into the tunnel with them, unless they are to be lost."""
        device, head = self.devices[vni], header(vni)
        for _ in range(_PACKETS_PER_TURN):
            try:
                frame = device.read()
            except BlockingIOError:
                return
            if frame and not is_lost:
                with suppress(OSError):  # a tunnel loses packets; TCP sends them again
                    self.sock.sendmsg([head, frame], (), 0, (self.remote, GENEVE_PORT))
                    self.carried[vni].sent += 1

    def from_tunnel(self, *, is_lost: bool = False) -> None:
        """Datagrams wait: to the devices of their VNIs, and never to another's; or nowhere."""
        for _ in range(_PACKETS_PER_TURN):
            try:
                payload, (sender, _) = self.sock.recvfrom(_MOST_FRAME)
                found = decode(payload)
            except BlockingIOError:
                return
            except GeneveError:
                continue
            device = self.devices.get(found.vni)
            if device is not None and sender == self.remote and not is_lost:
                with suppress(OSError):
                    device.write(found.frame)
                    self.carried[found.vni].received += 1

    def close(self) -> None:
        """Its devices go away."""
        self.sock.close()
        for device in self.devices.values():
            device.close()


def tunnel_socket(local: str) -> socket.socket:
    """The UDP socket of a tunnel end, made in its namespace. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind((local, GENEVE_PORT))
    except OSError:
        sock.close()
        raise
    return sock


class Overlay:
    """Serves tunnel ends in a thread until it is closed."""

    def __init__(self) -> None:
        self.ends: list[TunnelEnd] = []
        self._selector = selectors.DefaultSelector()
        self._is_closing = threading.Event()
        self.is_stopped = False
        """While it is, packets go nowhere: a fault to be tried."""
        self._thread = threading.Thread(target=self._serve, name="overlay", daemon=True)

    def add(self, end: TunnelEnd) -> None:
        """Serve an end; before `start`."""
        self.ends.append(end)
        self._selector.register(end.sock, selectors.EVENT_READ, end.from_tunnel)
        for vni, device in end.devices.items():
            self._selector.register(device.fileno(), selectors.EVENT_READ, partial(end.from_device, vni))

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and let the devices go."""
        self._is_closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._selector.close()
        for end in self.ends:
            end.close()

    def _serve(self) -> None:
        while not self._is_closing.is_set():
            for key, _ in self._selector.select(_LOOK_SECONDS):
                key.data(is_lost=self.is_stopped)
