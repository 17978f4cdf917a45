"""Accept-Encoding, and bodies that come back."""

from __future__ import annotations

import gzip
import zlib

import pytest

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


@pytest.mark.parametrize(("name", "undo"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_what_is_always_there_comes_back(name, undo):
    body = b"istio_build 1\n" * 1000
    packed = available_encodings()[name](body)
    assert undo(packed) == body
    assert len(packed) < len(body) / 10


def test_the_best_coding_comes_first():
    names = list(available_encodings())
    assert names == [name for name in ALL if name in names]
