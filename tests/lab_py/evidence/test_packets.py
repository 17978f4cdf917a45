"""Frames as a capture gives them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab_py.evidence.packets import HTTP, ISTIO_TLS, Packet, is_labs_own, read_packet, read_refusal, read_segment
from lab_py.geneve import header

ETHERNET = bytes.fromhex("0a0000000002 0a0000000001 0800")


def ip(protocol: int, payload: bytes, source: str = "0af4010a", destination: str = "0a60000a") -> bytes:
    """An IPv4 packet from 10.244.1.10 to 10.96.0.10."""
    size = (20 + len(payload)).to_bytes(2, "big")
    head = b"\x45\x00" + size + bytes(4) + bytes((64, protocol)) + bytes(2)
    return head + bytes.fromhex(source) + bytes.fromhex(destination) + payload


def tcp(flags: int, sport: int = 40000, dport: int = 8000) -> bytes:
    return sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(8) + bytes((0x50, flags)) + bytes(6)


SYN = ETHERNET + ip(6, tcp(0x02))


@pytest.mark.parametrize(
    ("flags", "shown"), [(0x02, "S"), (0x12, "S."), (0x10, "."), (0x18, "P."), (0x11, "F."), (0x04, "R")]
)
def test_flags_are_tcpdumps(flags: int, shown: str) -> None:
    packet = read_packet(ETHERNET + ip(6, tcp(flags)))
    assert packet == Packet(("10.244.1.10", 40000), ("10.96.0.10", 8000), shown, 40)
    assert packet.is_syn is (shown == "S")


def test_a_segment_inside_geneve_tells_its_tunnel() -> None:
    payload = header(1001) + SYN
    udp = (51000).to_bytes(2, "big") + (6081).to_bytes(2, "big") + (8 + len(payload)).to_bytes(2, "big") + bytes(2)
    packet = read_packet(ETHERNET + ip(17, udp + payload, "0af40101", "0af40102"))
    assert packet is not None
    assert str(packet) == "10.244.1.10:40000 > 10.96.0.10:8000 [S] in Geneve 1001"


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(ETHERNET[:12] + b"\x08\x06" + bytes(28), id="ARP"),
        pytest.param(ETHERNET[:12] + b"\x86\xdd" + bytes(60), id="IPv6"),
        pytest.param(ETHERNET + ip(17, bytes(8)), id="UDP of others"),
        pytest.param(ETHERNET + ip(6, bytes(10)), id="TCP cut short"),
        pytest.param(SYN[:20], id="IP cut short"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_anything_else_is_no_evidence(frame: bytes) -> None:
    assert read_packet(frame) is None


@given(st.binary(max_size=120))
def test_any_bytes_can_be_looked_at(data: bytes) -> None:
    read_packet(ETHERNET + data)


def test_a_segment_has_its_number_and_what_it_carries() -> None:
    frame = ETHERNET + ip(6, tcp(0x18) + b"text") + bytes(6)  # padding
    segment = read_segment(frame)
    assert segment is not None
    assert (segment.packet.flags, segment.sequence, segment.payload) == ("P.", 0, b"text")
    assert read_segment(ETHERNET + ip(17, bytes(8))) is None


@pytest.mark.parametrize(
    ("payload", "carries"),
    [
        (b"GET /ip HTTP/1.1\r\nhost: x\r\n\r\n", HTTP),
        (b"POST / HTTP/1.0\r\n", HTTP),
        (b"HTTP/1.1 200 OK\r\n", ""),
        (b"\x16\x03\x01\x02\x00\x01 ... \x05istio\x02h2", ISTIO_TLS),
        (b"\x16\x03\x01\x02\x00\x01 ... \x02h2", ""),
        (b"\x17\x03\x03 istio", ""),
        (b"", ""),
    ],
)
def test_what_a_segment_opens(payload: bytes, carries: str) -> None:
    packet = read_packet(ETHERNET + ip(6, tcp(0x18) + payload))
    assert packet is not None
    assert packet.carries == carries


@pytest.mark.parametrize(
    ("code", "text"), [(0, "network unreachable"), (4, "larger than the way takes"), (9, "code 9")]
)
def test_who_is_told_that_something_cannot_be_reached(code: int, text: str) -> None:
    about = ip(6, tcp(0x02))
    frame = ETHERNET + ip(1, bytes((3, code)) + bytes(6) + about, "0af40101", "0af4010a")
    assert read_refusal(frame) == f"ICMP from 10.244.1.1 to 10.244.1.10: 10.96.0.10: {text}"
    assert read_refusal(ETHERNET + ip(1, bytes((8, 0)) + bytes(6) + about)) is None, "a ping"
    assert read_refusal(SYN) is None


def test_packets_that_are_nobodys_evidence() -> None:
    here, control, own = ("10.244.1.10", 40000), ("172.18.0.1", 15012), ("127.0.0.1", 8000)
    assert is_labs_own(Packet(here, control, "S", 60))
    assert is_labs_own(Packet(control, here, "S.", 60))
    assert is_labs_own(Packet(("127.0.0.1", 40000), own, "S", 60))
    assert not is_labs_own(Packet(here, own, "S", 60)), "redirected on lo"
    assert not is_labs_own(Packet(here, ("172.18.0.2", 15012), "S", 60))
