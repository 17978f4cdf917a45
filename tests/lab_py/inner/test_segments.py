"""Packets that never were."""

from __future__ import annotations

from lab_py.evidence.packets import read_segment
from lab_py.inner.segments import segments
from lab_py.inner.tunnels import Said, Tunnel

CLIENT, SERVER = ("10.244.1.10", 40000), ("10.244.4.30", 5000)
ETHERNET = bytes(12) + b"\x08\x00"


def made(tunnel: Tunnel) -> list[tuple[int, str, int, bytes]]:
    """Time, flags, sequence number and payload of each."""
    found = []
    for at, data in segments(tunnel, CLIENT, SERVER):
        segment = read_segment(ETHERNET + data)
        assert segment is not None
        found.append((at, segment.packet.flags, segment.sequence, segment.payload))
    return found


def test_a_whole_exchange() -> None:
    tunnel = Tunnel(1, "x", 1, 2, [Said(3, True, b"ask"), Said(4, False, b"answer"), Said(5, False, b"")])
    assert made(tunnel) == [
        (1, "S", 0, b""),
        (2, "S.", 0, b""),
        (2, ".", 1, b""),
        (3, "P.", 1, b"ask"),
        (4, "P.", 1, b"answer"),
        (5, "F.", 7, b""),
    ]


def test_what_is_too_long_for_one_packet() -> None:
    tunnel = Tunnel(1, "x", 1, 2, [Said(3, True, b"a" * 130_000)])
    assert [(number, len(data)) for *_, number, data in made(tunnel)[3:]] == [
        (1, 60_000),
        (60_001, 60_000),
        (120_001, 10_000),
    ]


def test_one_that_was_not_granted_is_a_syn() -> None:
    assert [flags for _, flags, *_ in made(Tunnel(1, "x", 1))] == ["S"]
