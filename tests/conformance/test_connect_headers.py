"""CONNECT by RFC 9113 sections 8.2, 8.3 and 8.5: header lists and their verdict."""

from __future__ import annotations

import pytest

from hbone_py.connect import ConnectRequest, read_request
from hbone_py.errors import BadConnect, HboneError, MalformedRequest
from tests.support.frames import pairs

M, A = ":method CONNECT", ":authority a:1"
GET = (":method GET", ":scheme https", ":path /", A)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([M, A], id="8.5: method and authority"),
        pytest.param([A, M], id="8.3: in any order"),
        pytest.param([M, A, "x 1", "x 2"], id="a header may be repeated"),
        pytest.param([M, A, "x "], id="8.2.1: an empty value"),
        pytest.param([M, A, "x a b\tc"], id="8.2.1: white space within"),
        pytest.param([M, A, "x \x80\xff"], id="8.2.1: bytes beyond ASCII in a value"),
        pytest.param([M, A, "!#$%&'*+-.^_`|~09az 1"], id="RFC 9110 5.1: every letter of a token"),
        pytest.param([M, A, "te trailers"], id="8.2.2: te may say trailers"),
        pytest.param([M, A, "host a:1"], id="8.3.1: host, if the same"),
        pytest.param([M, A, "content-length 5", "content-length 5"], id="content-length, twice the same"),
        pytest.param([M, A, f"content-length {10**18 - 1}"], id="the longest content-length"),
        pytest.param([M, ":authority user@[::1]:x/y?z"], id="an authority is any visible text here"),
        pytest.param([M, A, "cookie a=b"], id="what a tunnel does not know"),
    ],
)
def test_a_connect(lines: list[str]) -> None:
    request = read_request(pairs(*lines))
    assert request.headers == [pair for pair in pairs(*lines) if pair[0][:1] != b":"]


def test_what_a_connect_says() -> None:
    assert read_request(pairs(M, A, "content-length 7")) == ConnectRequest("a:1", [(b"content-length", b"7")], 7)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="nothing"),
        pytest.param([M], id="8.5: no :authority"),
        pytest.param([M, ":authority "], id="8.5: an empty :authority"),
        pytest.param([M, ":authority a b:1"], id="8.5: a space in :authority"),
        pytest.param([M, ":authority a:1\x7f"], id="8.5: a control byte in :authority"),
        pytest.param([M, ":authority \xe9:1"], id="8.5: :authority beyond ASCII"),
        pytest.param([M, A, ":scheme https"], id="8.5: :scheme"),
        pytest.param([M, A, ":path /"], id="8.5: :path"),
        pytest.param([M, A, ":scheme https", ":path /"], id="8.5: both"),
        pytest.param([M, A, ":protocol websocket", ":scheme https", ":path /"], id="RFC 8441: not enabled"),
        pytest.param([M, A, ":status 200"], id="8.3: a response's pseudo-header"),
        pytest.param([M, A, ":x 1"], id="8.3: an unknown pseudo-header"),
        pytest.param([M, A, ": 1"], id="8.3: a pseudo-header without a name"),
        pytest.param([M, M, A], id="8.3: :method twice"),
        pytest.param([M, A, A], id="8.3: :authority twice"),
        pytest.param([M, "x 1", A], id="8.3: a pseudo-header behind a regular one"),
        pytest.param([A], id="8.3.1: no :method"),
        pytest.param([":method ", A], id="8.3.1: an empty :method"),
        pytest.param([":method CON NECT", A, ":scheme https", ":path /"], id="RFC 9110 9.1: a method is a token"),
        pytest.param([":method connect", A], id="RFC 9110 9.1: methods are case-sensitive"),
        pytest.param([M, A, "X 1"], id="8.2.1: a capital letter"),
        pytest.param([M, A, " 1"], id="8.2.1: an empty name"),
        pytest.param([M, A, "a\x80 1"], id="8.2.1: a name beyond ASCII"),
        pytest.param([M, A, "a:b 1"], id="8.2.1: a colon in a name"),
        pytest.param([M, A, "a\x00 1"], id="8.2.1: a control byte in a name"),
        pytest.param([M, A, "x a\x00b"], id="8.2.1: a zero byte in a value"),
        pytest.param([M, A, "x a\nb"], id="8.2.1: a line feed in a value"),
        pytest.param([M, A, "x a\rb"], id="8.2.1: a carriage return in a value"),
        pytest.param([M, A, "x  a"], id="8.2.1: a leading space"),
        pytest.param([M, A, "x a "], id="8.2.1: a trailing space"),
        pytest.param([M, A, "x \ta"], id="8.2.1: a leading tab"),
        pytest.param([M, A, "x a\t"], id="8.2.1: a trailing tab"),
        pytest.param([M, A, "baggage a\nb"], id="8.2.1: in the headers we know as well"),
        pytest.param([M, ":authority a:1\n"], id="8.2.1: and in pseudo-headers"),
        pytest.param([M, A, "connection close"], id="8.2.2: connection"),
        pytest.param([M, A, "proxy-connection close"], id="8.2.2: proxy-connection"),
        pytest.param([M, A, "keep-alive timeout=5"], id="8.2.2: keep-alive"),
        pytest.param([M, A, "transfer-encoding chunked"], id="8.2.2: transfer-encoding"),
        pytest.param([M, A, "upgrade h2c"], id="8.2.2: upgrade"),
        pytest.param([M, A, "te gzip"], id="8.2.2: te says something else"),
        pytest.param([M, A, "te trailers, gzip"], id="8.2.2: te says more"),
        pytest.param([M, A, "host b:1"], id="8.3.1: host and :authority differ"),
        pytest.param([M, A, "content-length "], id="8.1.1: an empty content-length"),
        pytest.param([M, A, "content-length -1"], id="8.1.1: a negative content-length"),
        pytest.param([M, A, "content-length +1"], id="8.1.1: a signed content-length"),
        pytest.param([M, A, "content-length 1_0"], id="8.1.1: Python's own digits"),
        pytest.param([M, A, "content-length 5", "content-length 6"], id="8.1.1: two lengths"),
        pytest.param([M, A, f"content-length {10**18}"], id="8.1.1: an absurd content-length"),
        pytest.param([":method GET", A, ":path /"], id="8.3.1: GET without :scheme"),
        pytest.param([":method GET", A, ":scheme https"], id="8.3.1: GET without :path"),
        pytest.param([":method GET", ":scheme https", ":path "], id="8.3.1: an empty :path"),
        pytest.param([":method GET", ":scheme https", ":path /"], id="8.3.1: neither :authority nor host"),
        pytest.param([":method GET", ":scheme http", ":path /"], id="8.3.1: the same in the clear"),
        pytest.param([*GET, ":protocol x"], id="RFC 8441: :protocol without CONNECT"),
        pytest.param([*GET, "connection close"], id="8.2.2: whatever the method"),
        pytest.param([*GET, "content-length x"], id="8.1.1: whatever the method"),
        pytest.param([*GET, "X 1"], id="8.2.1: whatever the method"),
    ],
)
def test_malformed(lines: list[str]) -> None:
    """Its stream is reset with PROTOCOL_ERROR (RFC 9113 section 8.1.1)."""
    with pytest.raises(MalformedRequest):
        read_request(pairs(*lines))


@pytest.mark.parametrize(
    ("lines", "method"),
    [
        pytest.param([*GET], "GET", id="GET"),
        pytest.param([":method POST", *GET[1:], "content-length 5"], "POST", id="POST"),
        pytest.param([":method OPTIONS", ":scheme https", ":path *", "host a"], "OPTIONS", id="OPTIONS *, with host"),
        pytest.param([":method GET", ":scheme coap", ":path /"], "GET", id="8.3.1: a scheme that needs no authority"),
        pytest.param([":method PRI", *GET[1:]], "PRI", id="a method nobody knows"),
    ],
)
def test_well_formed_and_no_tunnel(lines: list[str], method: str) -> None:
    """Answered with 400, in ztunnel's words (hbone-dataplane 1.4)."""
    with pytest.raises(BadConnect, match=f"^expected method CONNECT, got {method}$") as refused:
        read_request(pairs(*lines))
    error: HboneError = refused.value
    assert error.status == 400
