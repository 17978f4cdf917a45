"""The private names: found here, and missed without harm elsewhere."""

from __future__ import annotations

import pytest
from OpenSSL import SSL

from hbone_py.tls import openssl


def test_this_pyopenssl_has_them_all():
    assert openssl.missing_names() == []
    assert openssl.IS_COMPLETE


def test_a_missing_name_is_told(monkeypatch):
    monkeypatch.setattr(openssl, "lib", object())
    assert "SSL_read" in openssl.missing_names()
    assert "BIO_write" in openssl.missing_names()


def test_errors_are_taken_out_of_the_queue():
    connection = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    assert openssl.take_errors() == []
    assert openssl.lib.SSL_write(connection._ssl, b"neither client nor server", 5) <= 0
    assert openssl.take_errors() == ["uninitialized"]
    assert openssl.take_errors() == []


def test_groups():
    context = SSL.Context(SSL.TLS_METHOD)
    assert openssl.set_groups(context, "X25519:P-256")
    assert not openssl.set_groups(context, "X25519:P-0")
    assert openssl.take_errors() == []


def test_a_library_that_does_not_tell_the_problem(monkeypatch):
    connection = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    monkeypatch.setattr(openssl, "lib", object())
    assert openssl.verify_problem(connection) is None


def test_a_connection_that_has_not_verified_has_no_problem():
    assert openssl.verify_problem(SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)) is None


def test_where_a_function_is():
    assert openssl.address("SSL_read", "int(*)(SSL *, void *, int)") > 0
    assert openssl.c_type("SSL *") is openssl.ffi.typeof("SSL *")


@pytest.mark.parametrize(
    ("function", "signature", "complaint"),
    [
        (
            "SSL_read",
            "long(*)(SSL *)",
            r"SSL_read of OpenSSL's bindings is int\(\*\)\(SSL \*, void \*, int\), not long",
        ),
        ("SSL_reed", "int(*)(SSL *, void *, int)", "do not tell where SSL_reed is"),
    ],
)
def test_a_function_that_is_not_as_expected_is_not_found(function: str, signature: str, complaint: str):
    with pytest.raises(LookupError, match=complaint):
        openssl.address(function, signature)


def test_a_type_that_the_bindings_do_not_have():
    with pytest.raises(LookupError, match=r"have no SSSL \*"):
        openssl.c_type("SSSL *")
