"""Accept-Encoding, and bodies that come back."""

from __future__ import annotations

import gzip
import zlib

import brotli
import pytest
import zstandard

from mesh_py.admin.encoding import available_encodings, choose_encoding

ALL = dict.fromkeys(("zstd", "br", "gzip", "deflate"), bytes)


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("gzip; q=0.5, br;q=0", "gzip"),
        ("*", "zstd"),
        ("*;q=0", None),
        ("gzip;q=0", None),
        ("gzip;q=0.5, identity;q=0.9", None),
        ("GZip", "gzip"),
        ("snappy", None),
        ("gzip;q=high", None),
    ],
)
def test_choice(accepted: str, chosen: str | None):
    assert choose_encoding(accepted, ALL) == chosen


DECODERS = {
    "zstd": lambda packed: zstandard.ZstdDecompressor().decompress(packed),
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("body", [b"", b"istio_build 1\n" * 1000], ids=["empty", "text"])
def test_what_is_packed_comes_back(name: str, body: bytes):
    packed = available_encodings()[name](body)
    assert DECODERS[name](packed) == body
    assert len(packed) <= max(20, len(body) / 10)


def test_the_best_coding_comes_first():
    assert list(available_encodings()) == list(ALL)
