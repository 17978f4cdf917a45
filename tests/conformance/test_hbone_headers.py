"""The headers of HBONE (hbone-dataplane 1.4): what is written, what is understood, what is refused."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from hbone_py.connect import (
    Authority,
    forwarded,
    parse_authority,
    parse_forwarded_host,
    parse_traceparent,
    traceparent,
)
from hbone_py.errors import BadConnect


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        pytest.param("10.0.0.7:8080", "10.0.0.7", 8080, id="IPv4"),
        pytest.param("[fd00::7]:8080", "fd00::7", 8080, id="IPv6"),
        pytest.param("[FD00:0:0:0:0:0:0:7]:80", "fd00::7", 80, id="IPv6, told in RFC 5952's form"),
        pytest.param("[::]:1", "::", 1, id="IPv6, all zero"),
        pytest.param("10.0.0.7:0", "10.0.0.7", 0, id="port 0 is a port here"),
        pytest.param("10.0.0.7:00080", "10.0.0.7", 80, id="zeros in front of the port"),
        pytest.param("10.0.0.7:65535", "10.0.0.7", 65535, id="the last port"),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_authority(text) == Authority(host, port, ip_address(host))


def test_a_mapped_address_stays_what_it_is() -> None:
    """It is not the IPv4 address, so it will not equal a connection's destination."""
    assert parse_authority("[::ffff:10.0.0.7]:80").ip == ip_address("::ffff:10.0.0.7")


@pytest.mark.parametrize(
    "text",
    [
        "example.com:80",
        "httpbin.default.svc.cluster.local:8000",
        "a:1",
        "a_b.c-d.e:1",
        "*.example.com:443",
        "example.com.:80",
        "1and1.com:80",
        "Example.COM:80",
    ],
)
def test_names(text: str) -> None:
    host, _, port = text.rpartition(":")
    assert parse_authority(text) == Authority(host, int(port), None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("10.0.0.7", id="no port"),
        pytest.param("example.com", id="no port behind a name"),
        pytest.param("[fd00::7]", id="no port behind IPv6"),
        pytest.param("10.0.0.7:", id="an empty port"),
        pytest.param(":80", id="no host"),
        pytest.param("[]:80", id="no address"),
        pytest.param("10.0.0.7:http", id="a port by name"),
        pytest.param("10.0.0.7:65536", id="a port too large"),
        pytest.param("10.0.0.7:999999", id="a port far too large"),
        pytest.param("10.0.0.7:-1", id="a negative port"),
        pytest.param("10.0.0.7:+80", id="a signed port"),
        pytest.param("10.0.0.7: 80", id="a space"),
        pytest.param("10.0.0.7:٨٠", id="digits of another script"),
        pytest.param("fd00::7:8080", id="IPv6 without brackets"),
        pytest.param("[10.0.0.7]:80", id="IPv4 in brackets"),
        pytest.param("[fe80::1%eth0]:80", id="a zone"),
        pytest.param("[fd00::7:80", id="an open bracket"),
        pytest.param("10.0.0:80", id="three numbers"),
        pytest.param("10.0.0.256:80", id="a number too large"),
        pytest.param("010.0.0.7:80", id="a zero in front of a number"),
        pytest.param("1:80", id="a number alone"),
        pytest.param("user@example.com:80", id="a user"),
        pytest.param("http://example.com:80", id="a scheme"),
        pytest.param("example.com/x:80", id="a path"),
        pytest.param("-a.example:80", id="a name that begins with a hyphen"),
        pytest.param(".example:80", id="a name that begins with a dot"),
        pytest.param("a b:80", id="a space in a name"),
        pytest.param("é.example:80", id="a name beyond ASCII"),
        pytest.param(f"{'a' * 256}:80", id="a name too long"),
    ],
)
def test_no_authority(text: str) -> None:
    with pytest.raises(BadConnect, match=r"^no valid authority pseudo header: "):
        parse_authority(text)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(forwarded("10.0.0.3:51234"), 'for="10.0.0.3:51234"', id="no service known"),
        pytest.param(forwarded("[::1]:80"), 'for="[::1]:80"', id="IPv6"),
        pytest.param(
            forwarded("10.0.0.3:5", "httpbin.default.svc.cluster.local"),
            'for="10.0.0.3:5";host=httpbin.default.svc.cluster.local',
            id="a service, unquoted",
        ),
    ],
)
def test_forwarded_is_written_so(made: str, expected: str) -> None:
    assert made == expected


@pytest.mark.parametrize(
    ("value", "host"),
    [
        pytest.param(b'for="1.2.3.4:5";host=a.b', "a.b", id="ztunnel's form"),
        pytest.param(b'for=x; host="a.b"', "a.b", id="quoted, behind a space"),
        pytest.param(b"host=a;host=b", "a", id="the first one counts"),
        pytest.param(b"host=a;b", "a", id="up to the semicolon"),
        pytest.param(b"host=", None, id="empty"),
        pytest.param(b'host=""', None, id="empty in quotes"),
        pytest.param(b"Host=a", None, id="case matters"),
        pytest.param(b"for=x,host=a", None, id="behind a comma it is another's"),
        pytest.param(b"for=x", None, id="no host"),
        pytest.param(b"host=\xe9", None, id="bytes beyond ASCII"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(None, None, id="no header"),
    ],
)
def test_forwarded_host(value: bytes | None, host: str | None) -> None:
    assert parse_forwarded_host(value) == host


TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
TEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def test_traceparent_is_written_so() -> None:
    assert traceparent(TRACE, SPAN) == TEXT
    assert traceparent(1, 2) == f"00-{'0' * 31}1-{'0' * 15}2-00"


@pytest.mark.parametrize(
    ("value", "trace"),
    [
        pytest.param(TEXT.encode(), TEXT[3:35], id="well-formed"),
        pytest.param(TEXT.replace("00", "ff", 1).encode(), TEXT[3:35], id="another version"),
        pytest.param(TEXT[:-1].encode(), None, id="54 characters"),
        pytest.param(TEXT.encode() + b"0", None, id="56 characters"),
        pytest.param(b"0" * 55, None, id="55 characters without a dash"),
        pytest.param(b"-" * 55, None, id="55 dashes"),
        pytest.param(TEXT.replace("a", "g").encode(), None, id="no hexadecimal"),
        pytest.param(TEXT.upper().encode(), None, id="capitals"),
        pytest.param(b"\xff" * 55, None, id="bytes beyond ASCII"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(None, None, id="no header"),
    ],
)
def test_traceparent(value: bytes | None, trace: str | None) -> None:
    assert parse_traceparent(value) == trace
