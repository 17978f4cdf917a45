"""The codec, judged by tshark."""

from __future__ import annotations

import subprocess
from struct import unpack_from
from typing import TYPE_CHECKING

import pytest

from lab_py import pcapng
from tests.support.require import require_tool

if TYPE_CHECKING:
    from pathlib import Path

FRAME = bytes.fromhex("ffffffffffff02000000000108060001") + bytes(26)


@pytest.mark.parametrize(
    "block",
    [
        pcapng.section("who"),
        pcapng.section("who", "what"),
        pcapng.interface("node-a eth0", "a device"),
        pcapng.packet(0, 1, b"abcde"),
        pcapng.packet(3, 1 << 60, b"", ["one", "two"]),
        pcapng.tls_secrets(b"CLIENT_RANDOM 00 11\n"),
    ],
    ids=["section", "section with a comment", "interface", "packet", "packet with comments", "secrets"],
)
def test_a_block_has_its_length_at_both_ends(block: bytes) -> None:
    assert len(block) % 4 == 0
    assert unpack_from("<I", block, 4) == unpack_from("<I", block, len(block) - 4) == (len(block),)


def test_a_packet_byte_by_byte() -> None:
    assert pcapng.packet(2, (5 << 32) + 7, b"abcde", ["hop"]) == (
        b"\x06\0\0\0" b"\x34\0\0\0" b"\x02\0\0\0" b"\x05\0\0\0" b"\x07\0\0\0" b"\x05\0\0\0" b"\x05\0\0\0"
        b"abcde\0\0\0" b"\x01\0\x03\0" b"hop\0" b"\0\0\0\0" b"\x34\0\0\0"
    )  # fmt: skip


def test_a_comment_that_is_too_long_is_cut_between_characters() -> None:
    block = pcapng.packet(0, 0, b"", ["ü" * 40_000])
    assert unpack_from("<HH", block, 28) == (1, 65_534)


@pytest.mark.interop
def test_tshark_reads_names_times_and_comments(tmp_path: Path) -> None:
    blocks = [
        pcapng.section("lab_py", "of a test"),
        pcapng.interface("node-a istioout", "Geneve"),
        pcapng.interface("sleep eth0"),
        pcapng.packet(1, 1_700_000_000_123_456_789, FRAME, ["hop (1): leaves", "hop (2): marked"]),
        pcapng.packet(0, 1_700_000_001_000_000_001, FRAME),
    ]
    (tmp_path / "file").write_bytes(b"".join(blocks))
    fields = ["frame.interface_name", "frame.time_epoch", "frame.comment"]
    options = [word for field in fields for word in ("-e", field)]
    command = [require_tool("tshark"), "-r", str(tmp_path / "file"), "-T", "fields", "-E", "separator=|", *options]
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert read.stdout.splitlines() == [
        "sleep eth0|1700000000.123456789|hop (1): leaves,hop (2): marked",
        "node-a istioout|1700000001.000000001|",
    ]
