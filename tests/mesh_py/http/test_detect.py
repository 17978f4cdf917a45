"""Protocols by their first bytes; what TLS asks for is in test_client_hello."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.detect import HTTP1, HTTP2, MOST_BYTES, UNKNOWN, Detection, Protocol, detect


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n", HTTP1, id="HTTP/1.1"),
        pytest.param(b"\r\nPOST /x HTTP/1.0\r\nHost: a\r\n", HTTP1, id="HTTP/1.0 behind an empty line"),
        pytest.param(b"M-SEARCH * HTTP/1.1\r\n", HTTP1, id="another method"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\n", HTTP1, id="CONNECT"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxx", HTTP2, id="HTTP/2"),
        pytest.param(b"", None, id="nothing yet"),
        pytest.param(b"G", None, id="one letter"),
        pytest.param(b"GET /a", None, id="half a line"),
        pytest.param(b"GET / HTTP/1.1\r", None, id="nearly a line"),
        pytest.param(b"PRI * HTTP", None, id="half a preface"),
        pytest.param(b"PRI * HTTP/1.1\r\n", HTTP1, id="no preface after all"),
        pytest.param(b"GET key\r\n", UNKNOWN, id="redis, inline"),
        pytest.param(b"*1\r\n$4\r\nPING\r\n", UNKNOWN, id="redis"),
        pytest.param(b"get key\r\n", UNKNOWN, id="memcached"),
        pytest.param(b"EHLO a\r\n", UNKNOWN, id="SMTP"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", UNKNOWN, id="SSH"),
        pytest.param(b"GET / HTTP/1.1\n", UNKNOWN, id="bare line feed"),
        pytest.param(b"GET / HTTP/3", UNKNOWN, id="another version"),
        pytest.param(b"\x00\x00\x00\x08", UNKNOWN, id="binary"),
        pytest.param(b"GET /" + b"a" * MOST_BYTES, HTTP1, id="a line without end"),
        pytest.param(b"\x16\x03\x01", None, id="a record's first bytes"),
        pytest.param(b"\x16\x03\x01\x00\x05\x02", UNKNOWN, id="another handshake message"),
        pytest.param(b"\x16\x02", UNKNOWN, id="no TLS version"),
        pytest.param(b"\x16\x03\x01\x00\x00", UNKNOWN, id="an empty record"),
        pytest.param(
            b"\x16\x03\x01\x40\x00\x01\x00\x40\x00" + bytes(MOST_BYTES), Detection(Protocol.TLS), id="too large"
        ),
    ],
)
def test_verdicts(data: bytes, expected: Detection | None) -> None:
    assert detect(data) == expected


@given(data=st.binary(max_size=100), start=st.sampled_from([b"", b"\x16\x03\x01", b"GET ", b"PRI * "]))
def test_more_bytes_never_change_a_verdict(data: bytes, start: bytes) -> None:
    whole = start + data
    verdicts = [detect(whole[:end]) for end in range(len(whole) + 1)]
    decided = [verdict for verdict in verdicts if verdict is not None]
    assert len({verdict.protocol for verdict in decided}) <= 1
    assert verdicts == [None] * (len(verdicts) - len(decided)) + decided
