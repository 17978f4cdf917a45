"""Which hops a captured frame bears out."""

from __future__ import annotations

import pytest

from lab_py.evidence.capture import Frame
from lab_py.evidence.checks import Flow, Part, SeesPackets
from lab_py.evidence.recording import in_order
from lab_py.hops.base import Hop
from tests.lab_py.evidence.test_packets import ETHERNET, ip, tcp

SYN, ANSWER, ACK = 0x02, 0x12, 0x10


@pytest.mark.parametrize(
    ("part", "flags", "is_proof"),
    [
        (Part.ALL, SYN, True),
        (Part.ALL, ACK, True),
        (Part.SYN, SYN, True),
        (Part.SYN, ACK, False),
        (Part.ONLY_SYN, ACK, False),
        (Part.REST, ACK, True),
        (Part.REST, SYN, False),
        (Part.ANSWER, ANSWER, True),
        (Part.ANSWER, ACK, False),
        (Part.NOTHING, SYN, False),
    ],
)
def test_a_segment_proves_what_it_is_a_part_of(part: Part, flags: int, is_proof: bool) -> None:
    hop = Hop("1", "first", (SeesPackets("pod", "eth0", Flow(port=8000), part),))
    (seen,) = in_order({("pod", "eth0"): [Frame(0, segment(flags))]}, [hop])
    assert seen.hops == ((hop,) if is_proof else ())


def segment(flags: int) -> bytes:
    return ETHERNET + ip(6, tcp(flags))


def test_frames_of_all_places_are_in_the_order_of_time() -> None:
    hop = Hop("1", "first", (SeesPackets("pod", "eth0", Flow(port=8000)),))
    frames = {("pod", "eth0"): [Frame(5, segment(SYN)), Frame(9, b"no ip")], ("node", "v"): [Frame(7, segment(SYN))]}
    found = in_order(frames, [hop])
    assert [(one.place[0], one.frame.nanoseconds, len(one.hops)) for one in found] == [
        ("pod", 5, 1), ("node", 7, 0), ("pod", 9, 0),
    ]  # fmt: skip
    assert found[2].packet is None
