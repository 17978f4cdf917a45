"""A tunnel from captured frames to packets; OpenSSL and h2 made what is captured."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from lab_py.evidence.capture import Frame
from lab_py.evidence.checks import Flow, SeesPackets
from lab_py.evidence.packets import read_segment
from lab_py.evidence.recording import in_order
from lab_py.hops.base import Hop
from lab_py.inner.streams import inner_packets
from tests.lab_py.inner.conversations import CLIENT, ECHO, SERVER, Talk, talk, tunnel_bytes
from tests.support.certificates import TestRoot

if TYPE_CHECKING:
    from pathlib import Path

    from lab_py.inner.tcp_bytes import End, Piece

PLACE = ("sleep", "eth0")
HOPS = [Hop("4", "to the waypoint", (SeesPackets(*PLACE, Flow(port=15008)),))]
ETHERNET = bytes(12) + b"\x08\x00"


@pytest.fixture
def said(tmp_path: Path) -> Talk:
    """A request through a tunnel to 10.244.4.30:5000."""
    found = talk(TestRoot(tmp_path / "root").issue("server", "default/server"))
    first, granted, asked, answered = tunnel_bytes("10.244.4.30:5000", b"GET / HTTP/1.1\r\n\r\n", ECHO)
    for side, data in ((found.client, first), (found.server, granted), (found.client, asked), (found.server, answered)):
        side.send(data)
        found.move()
    return found


def test_what_was_inside_and_of_which_hop(said: Talk) -> None:
    frames = {PLACE: [*captured(said.asked, CLIENT, SERVER), *captured(said.answered, SERVER, CLIENT)]}
    found = inner_packets(frames, in_order(frames, HOPS), said.key_log)
    read = [read_segment(ETHERNET + one.data) for one in found]
    assert [one.packet.flags for one in read if one] == ["S", "S.", ".", "P.", "P.", "F."]
    assert [str(one.packet) for one in read[:1] if one] == ["10.244.1.10:40000 > 10.244.4.30:5000 [S]"]
    assert [one.payload for one in read if one and one.payload] == [b"GET / HTTP/1.1\r\n\r\n", ECHO]
    assert found[0].comments == (
        "inside 10.244.1.10:40000 > 10.244.3.20:15008, stream 1: CONNECT 10.244.4.30:5000",
        "inside hop (4): to the waypoint",
    )


def test_without_secrets_nothing_is_known(said: Talk) -> None:
    frames = {PLACE: [*captured(said.asked, CLIENT, SERVER), *captured(said.answered, SERVER, CLIENT)]}
    assert inner_packets(frames, [], []) == []


def captured(pieces: list[Piece], source: End, destination: End) -> list[Frame]:
    """One direction as frames."""
    found, sequence = [], 100
    for at, data in pieces:
        ports = source[1].to_bytes(2, "big") + destination[1].to_bytes(2, "big")
        tcp = ports + sequence.to_bytes(4, "big") + bytes(4) + bytes((0x50, 0x18)) + bytes(6) + data
        ends = ipaddress.IPv4Address(source[0]).packed + ipaddress.IPv4Address(destination[0]).packed
        head = b"\x45\x00" + (20 + len(tcp)).to_bytes(2, "big") + bytes(4) + bytes((64, 6)) + bytes(2) + ends
        found.append(Frame(at, ETHERNET + head + tcp))
        sequence += len(data)
    return found
