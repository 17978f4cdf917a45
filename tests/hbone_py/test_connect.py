"""ConnectRequest and the small codecs. The rules of CONNECT are tables in tests/conformance."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from hbone_py.connect import (
    Authority,
    ConnectRequest,
    check_trailers,
    continue_request,
    forwarded,
    parse_authority,
    read_request,
    read_status,
)
from hbone_py.errors import BadConnect, MalformedRequest
from tests.support.frames import pairs


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


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a", id="no port"),
        pytest.param("a:", id="an empty port"),
        pytest.param("a:65536", id="a port too great"),
        pytest.param("a:000080", id="a port of six digits"),
        pytest.param("a:\u00b2", id="a digit beyond ASCII"),
        pytest.param(f"{'a' * 256}:80", id="a name too long"),
    ],
)
def test_no_authority(text: str) -> None:
    with pytest.raises(BadConnect, match=r"^no valid authority pseudo header: "):
        parse_authority(text)


def test_the_longest_authority() -> None:
    assert parse_authority(f"{'a' * 255}:65535").port == 65535


def test_a_request_goes_on_as_it_began() -> None:
    begun = ConnectRequest("a:1", [(b"baggage", b"one")], opening=b"begun")
    expected = [(b"baggage", b"one"), (b"forwarded", b"f"), (b"traceparent", b"")]
    assert continue_request(begun, b"f", b"") == ConnectRequest("a:1", expected)


@pytest.mark.parametrize("value", [b"a\nb", b"a\rb", b"a\0b", b" a", b"a\t"])
def test_what_no_value_may_be_is_left_to_whoever_looks_at_the_whole(value: bytes) -> None:
    begun = ConnectRequest("a:1", [])
    assert continue_request(begun, value, b"t") is None
    assert continue_request(begun, b"f", value) is None


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="nothing"),
        pytest.param(["x 200"], id="8.3.2: another header first"),
        pytest.param(["x 1", ":status 200"], id="8.3: :status comes late"),
        pytest.param([":status 200", ":status 200"], id="8.3: :status twice"),
        pytest.param([":status 2000"], id="RFC 9110 15: four digits"),
        pytest.param([":status 099"], id="RFC 9110 15: below 100"),
        pytest.param([":status 200", "X 1"], id="8.2.1: a capital letter behind it"),
        pytest.param([":status 200", "x a\nb"], id="8.2.1: a line feed behind it"),
    ],
)
def test_no_answer(lines: list[str]) -> None:
    with pytest.raises(MalformedRequest):
        read_status(pairs(*lines))


def test_an_answer_and_its_trailers() -> None:
    assert read_status(pairs(":status 200", "x 1")) == 200
    check_trailers(pairs("x 1", "y "))
    with pytest.raises(MalformedRequest, match=r"^pseudo-header in trailers$"):
        check_trailers(pairs("x 1", ":status 200"))


def test_forwarded_names_the_application_and_maybe_a_service() -> None:
    assert forwarded("10.0.0.1:4321") == 'for="10.0.0.1:4321"'
    assert forwarded("10.0.0.1:4321", "cart.shop") == 'for="10.0.0.1:4321";host=cart.shop'


@pytest.mark.parametrize(
    ("authority", "text"),
    [
        pytest.param(b"what is this", "b'what is this' is no visible text", id="blanks"),
        pytest.param(b"", "no other pseudo-header", id="empty"),
        pytest.param(b"x " * 90 + b"x", "'x x ", id="long"),
    ],
)
def test_what_is_wrong_with_an_authority_is_told_in_bounds(authority: bytes, text: str) -> None:
    with pytest.raises(MalformedRequest, match=text) as raised:
        read_request([(b":method", b"CONNECT"), (b":authority", authority)])
    assert len(str(raised.value)) < 130
