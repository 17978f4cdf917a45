"""SOCKS5 messages as tables (RFC 1928). What becomes of a client is told by the roles' own tests."""

from __future__ import annotations

import pytest

from mesh_py.capture.socks_messages import HOST_UNREACHABLE, SocksError, read_methods, read_request, refusal


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", (10, "127.0.0.1", 80), id="IPv4"),
        pytest.param(b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x50rest", (22, "::1", 80), id="IPv6, more behind it"),
        pytest.param(b"\x05\x01\x00\x03\x03Web\x00\x50", (10, "web", 80), id="a name"),
        pytest.param(b"\x05\x01\x00\x03\x03Web\x00", None, id="cut short"),
        pytest.param(b"\x05\x01", None, id="hardly begun"),
    ],
)
def test_requests(seen: bytes, expected: tuple[int, str, int] | None) -> None:
    assert read_request(seen) == expected


@pytest.mark.parametrize(
    "seen", [b"\x05\x02\x00\x01\x00", b"\x05\x01\x00\x02\x00", b"\x05\x01\x00\x03\x01\xff\x00\x50"]
)
def test_requests_that_are_refused(seen: bytes) -> None:
    with pytest.raises(SocksError):
        read_request(seen)


def test_methods() -> None:
    assert (read_methods(b"\x05\x01\x00"), read_methods(b"\x05\x02\x00")) == (3, None)
    with pytest.raises(SocksError):
        read_methods(b"\x04\x01\x00")


def test_an_offer_without_an_acceptable_method() -> None:
    with pytest.raises(SocksError) as error:
        read_methods(b"\x05\x02\x01\x02")
    assert refusal(error.value.code) == b"\x05\xff"  # a method selection: two bytes, no address


def test_a_refusal() -> None:
    assert refusal(HOST_UNREACHABLE) == b"\x05\x04\x00\x01" + bytes(6)
