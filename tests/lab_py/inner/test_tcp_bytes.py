"""Bytes from segments that come twice, too late, at several places."""

from __future__ import annotations

from lab_py.evidence.capture import Frame
from lab_py.inner.tcp_bytes import Piece, conversations
from tests.lab_py.evidence.test_packets import ETHERNET, ip

PORT = 15008
ACK, SYN = 0x10, 0x02


def frame(at: int, sequence: int, payload: bytes, flags: int = ACK, *, back: bool = False) -> Frame:
    ports = (PORT, 40000) if back else (40000, PORT)
    numbers = (sequence % (1 << 32)).to_bytes(4, "big") + bytes(4)
    segment = b"".join(port.to_bytes(2, "big") for port in ports) + numbers + bytes((0x50, flags)) + bytes(6) + payload
    ends = ("0a60000a", "0af4010a") if back else ("0af4010a", "0a60000a")
    return Frame(at, ETHERNET + ip(6, segment, *ends) + bytes(4))  # a short frame is padded


def test_each_byte_once_and_in_order() -> None:
    seen = [
        frame(1, 99, b"", SYN),
        frame(4, 103, b"def"),
        frame(2, 100, b"abc"),
        frame(3, 100, b"abc"),
        frame(5, 104, b"efg"),
    ]
    [found] = conversations({("pod", "eth0"): seen}, PORT)
    assert found.asked == [Piece(2, b"abc"), Piece(4, b"def"), Piece(5, b"g")]
    assert (found.client, found.server) == (("10.244.1.10", 40000), ("10.96.0.10", PORT))


def test_nothing_after_a_gap() -> None:
    [found] = conversations({("pod", "eth0"): [frame(1, 100, b"abc"), frame(2, 200, b"late")]}, PORT)
    assert found.asked == [Piece(1, b"abc")]


def test_numbers_go_round() -> None:
    seen = [frame(1, -3, b"", SYN), frame(2, -2, b"ab"), frame(3, 0, b"cd")]
    [found] = conversations({("pod", "eth0"): seen}, PORT)
    assert [piece.data for piece in found.asked] == [b"ab", b"cd"]


def test_the_place_that_saw_most_counts() -> None:
    """Only the SYN goes through a tunnel; what follows is seen elsewhere."""
    elsewhere = [frame(2, 100, b"abc"), frame(3, 500, b"answer", back=True)]
    [found] = conversations({("node", "istioin"): [frame(1, 99, b"", SYN)], ("zt", "eth0"): elsewhere}, PORT)
    assert (found.asked, found.answered) == ([Piece(2, b"abc")], [Piece(3, b"answer")])


def test_other_ports_are_others() -> None:
    assert conversations({("pod", "eth0"): [frame(1, 100, b"abc"), Frame(2, b"noise")]}, 8000) == []
