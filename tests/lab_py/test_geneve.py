"""Geneve's header (RFC 8926), spelled out; tshark reads what we write."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab_py.geneve import GeneveError, Option, decode, header
from tests.support.require import require_tool

if TYPE_CHECKING:
    from pathlib import Path

FRAME = bytes.fromhex("0a0000000002 0a0000000001 0806") + bytes(28)


@pytest.mark.parametrize(
    ("vni", "octets"),
    [
        pytest.param(1000, "00 00 6558 0003e8 00", id="into the pod"),
        pytest.param(1001, "00 00 6558 0003e9 00", id="out of the pod"),
        pytest.param(0xFFFFFF, "00 00 6558 ffffff 00", id="the largest VNI"),
    ],
)
def test_the_header_we_send(vni: int, octets: str) -> None:
    assert header(vni) == bytes.fromhex(octets)
    found = decode(header(vni) + FRAME)
    assert (found.vni, bytes(found.frame), found.options) == (vni, FRAME, ())


def test_options_are_read_and_skipped() -> None:
    option = bytes.fromhex("0102 03 01 aabbccdd")
    found = decode(bytes.fromhex("02 00 6558 0003e8 00") + option + FRAME)
    assert found.options == (Option(0x0102, 3, bytes.fromhex("aabbccdd")),)
    assert found.frame == FRAME


def test_reserved_bits_mean_nothing() -> None:
    assert decode(bytes.fromhex("00 3f 6558 0003e8 ff") + FRAME).vni == 1000


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        pytest.param("00 00 6558 0003e8", "7 bytes are no header", id="short"),
        pytest.param("40 00 6558 0003e8 00", "version 1", id="version"),
        pytest.param("00 80 6558 0003e8 00", "control packet", id="control"),
        pytest.param("00 00 0800 0003e8 00", "protocol 0x0800", id="IPv4 inside"),
        pytest.param("01 00 6558 0003e8 00", "longer than the datagram", id="options cut off"),
        pytest.param("00 40 6558 0003e8 00", "critical option", id="critical bit"),
        pytest.param("01 00 6558 0003e8 00 0102 83 00", "critical option", id="critical option"),
        pytest.param("01 00 6558 0003e8 00 0102 03 01", "cut short", id="option longer than all options"),
    ],
)
def test_what_is_dropped(octets: str, why: str) -> None:
    with pytest.raises(GeneveError, match=why):
        decode(bytes.fromhex(octets))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_dropped(data: bytes) -> None:
    try:
        found = decode(data)
    except GeneveError:
        return
    assert data.endswith(found.frame)
    assert 0 <= found.vni < 1 << 24


@pytest.mark.interop
def test_tshark_reads_what_we_write(tmp_path: Path) -> None:
    """UDP 6081 in a hand-made capture file (text2pcap's work, without its options that differ by version)."""
    tshark = require_tool("tshark")
    udp = (6081).to_bytes(2, "big") * 2 + (8 + 8 + len(FRAME)).to_bytes(2, "big") + bytes(2)
    payload = udp + header(1001) + FRAME
    ip = (
        bytes.fromhex("4500")
        + (20 + len(payload)).to_bytes(2, "big")
        + bytes.fromhex("00000000 4011 0000 0af40101 0af40102")
    )
    ethernet = bytes.fromhex("0a0000000004 0a0000000003 0800") + ip + payload
    head = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000")
    record = bytes(8) + len(ethernet).to_bytes(4, "little") * 2
    file = tmp_path / "one.pcap"
    file.write_bytes(head + record + ethernet)
    fields = ["-T", "fields", "-e", "geneve.vni", "-e", "geneve.proto_type", "-e", "frame.protocols"]
    done = subprocess.run([tshark, "-r", str(file), *fields], capture_output=True, text=True, check=True)
    vni, protocol, protocols = done.stdout.split()
    assert (int(vni, 0), int(protocol, 0)) == (1001, 0x6558)
    assert protocols.endswith("geneve:eth:ethertype:arp")
