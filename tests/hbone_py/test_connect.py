"""ConnectRequest and the small codecs. The rules of CONNECT are tables in tests/conformance."""

from __future__ import annotations

from ipaddress import ip_address

from hbone_py.connect import Authority, ConnectRequest, parse_authority


def test_headers_are_found_by_name() -> None:
    request = ConnectRequest("a:1", [(b"baggage", b"one"), (b"x", b""), (b"baggage", b"two")])
    assert request.get(b"baggage") == b"one"
    assert request.get(b"x") == b""
    assert request.get(b"traceparent") is None
    assert request.all(b"baggage") == [b"one", b"two"]
    assert request.all(b"traceparent") == []


def test_an_authority_is_written_as_it_is_read() -> None:
    for text in ("10.0.0.7:8080", "[fd00::7]:8080", "example.com:80"):
        assert str(parse_authority(text)) == text
    assert parse_authority("[fd00:0:0::7]:1") == Authority("fd00::7", 1, ip_address("fd00::7"))
