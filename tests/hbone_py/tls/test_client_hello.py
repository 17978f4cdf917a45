"""A ClientHello is read by its bytes alone: real ones of OpenSSL, in any pieces, and what only looks like one."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from hbone_py.tls.client_hello import MOST_BYTES, ClientHello, NotTls, looks_like_tls, read_client_hello


def hello(name: str | None = None, protocols: list[str] | None = None) -> bytes:
    """What the standard library's TLS says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(protocols)
    output = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), output, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return output.read()


@pytest.mark.parametrize(
    ("name", "protocols"),
    [
        pytest.param("httpbin.default.svc.cluster.local", ["h2", "http/1.1"], id="a name and ALPN"),
        pytest.param("outbound_.8000_._.httpbin.default", ["istio-http/1.1", "istio"], id="Istio's forms"),
        pytest.param(None, ["istio-peer-exchange"], id="no name"),
        pytest.param("one.example", None, id="no ALPN"),
        pytest.param(None, None, id="neither"),
    ],
)
def test_what_a_client_says(name: str | None, protocols: list[str] | None) -> None:
    said = tuple(protocol.encode() for protocol in protocols or ())
    assert read_client_hello(hello(name, protocols)) == ClientHello(name or "", said)


def test_names_have_no_case() -> None:
    assert read_client_hello(hello("Mixed.Example")) == ClientHello("mixed.example")


def test_every_beginning_of_one_asks_for_more() -> None:
    whole = hello("one.example", ["h2"])
    assert {read_client_hello(whole[:size]) for size in range(len(whole))} == {None}
    assert read_client_hello(whole + b"early data") == ClientHello("one.example", (b"h2",))


def test_it_may_come_in_several_records() -> None:
    whole = hello("one.example", ["h2"])
    body = whole[5:]
    pieces = [body[start : start + 50] for start in range(0, len(body), 50)]
    records = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    assert read_client_hello(records) == ClientHello("one.example", (b"h2",))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\n", id="HTTP"),
        pytest.param(b"\x16\x02\x01\x00\x10", id="SSL 2"),
        pytest.param(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", id="a ServerHello"),
        pytest.param(b"\x16\x03\x01\x00\x00", id="an empty record"),
        pytest.param(b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03", id="cut inside, by its own lengths"),
        pytest.param(b"\x16\x03\x01\xff\xff\x01\x00\xff\xff" + bytes(MOST_BYTES), id="longer than anybody looks"),
    ],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(NotTls):
        read_client_hello(data)


@pytest.mark.parametrize("at", range(43, 120))
def test_any_broken_byte_gives_an_answer_or_a_refusal(at: int) -> None:
    data = bytearray(hello("one.example", ["h2"]))
    data[at] ^= 0xFF
    with contextlib.suppress(NotTls):
        assert read_client_hello(bytes(data)) is not None


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        pytest.param(b"", None, id="nothing yet"),
        pytest.param(b"\x16", None, id="one byte"),
        pytest.param(b"\x16\x03\x01\x00\x10", None, id="a record's header"),
        pytest.param(b"\x16\x03\x01\x00\x10\x01", True, id="and a ClientHello"),
        pytest.param(b"\x16\x03\x01\x00\x10\x02", False, id="another handshake message"),
        pytest.param(b"GET", False, id="text"),
        pytest.param(b"\x16\x04", False, id="another version"),
    ],
)
def test_the_first_bytes_tell(data: bytes, answer: bool | None) -> None:
    assert looks_like_tls(data) is answer
