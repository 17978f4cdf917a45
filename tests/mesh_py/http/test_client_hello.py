"""ClientHellos as OpenSSL writes them, whole, in pieces and damaged."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.client_hello import ClientHello, NotTls, read_client_hello
from mesh_py.http.detect import Detection, Protocol, detect


def hello(name: str | None = "Web.Example", alpn: tuple[str, ...] = ("h2", "http/1.1")) -> bytes:
    """What OpenSSL says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    out = ssl.MemoryBIO()
    engine = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        engine.do_handshake()
    return out.read()


@pytest.mark.parametrize(
    ("name", "alpn", "expected"),
    [
        pytest.param("Web.Example", ("h2", "http/1.1"), ClientHello("web.example", ("h2", "http/1.1")), id="both"),
        pytest.param(None, (), ClientHello(), id="neither"),
        pytest.param(
            "outbound_.80_._.web.default.svc.cluster.local",
            ("istio-peer-exchange", "istio"),
            ClientHello("outbound_.80_._.web.default.svc.cluster.local", ("istio-peer-exchange", "istio")),
            id="Istio's",
        ),
    ],
)
def test_what_a_tls_client_asks_for(name: str | None, alpn: tuple[str, ...], expected: ClientHello) -> None:
    assert detect(hello(name, alpn)) == Detection(Protocol.TLS, expected)


def test_a_hello_in_many_records() -> None:
    whole = hello()
    body = whole[5:]
    pieces = [body[start : start + 50] for start in range(0, len(body), 50)]
    wire = b"".join(whole[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    assert read_client_hello(wire) == ClientHello("web.example", ("h2", "http/1.1"))


def test_a_hello_is_waited_for_to_its_last_byte() -> None:
    whole = hello()
    assert {detect(whole[:end]) for end in range(1, len(whole))} == {None}


@given(data=st.binary(max_size=80), position=st.integers(9, 200))
def test_no_damage_crashes_the_reader(data: bytes, position: int) -> None:
    whole = bytearray(hello())
    whole[position : position + len(data)] = data
    with suppress(NotTls):
        read_client_hello(bytes(whole))
