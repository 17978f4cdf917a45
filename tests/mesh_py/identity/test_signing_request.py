"""What an authority is sent, as openssl reads it."""

from __future__ import annotations

import pytest

from hbone_py.identity import SpiffeId
from mesh_py.identity.signing_request import new_request
from tests.support.processes import run_tool

CART = SpiffeId("cluster.local", "shop", "cart")


@pytest.mark.interop
async def test_openssl_reads_and_verifies_it():
    asked = new_request(CART)
    done = await run_tool("openssl", "req", "-noout", "-text", "-verify", stdin=asked.request_pem.encode())
    assert done.returncode == 0
    assert b"verify OK" in done.stderr
    text = done.stdout.decode()
    assert "ASN1 OID: prime256v1" in text
    assert "Signature Algorithm: ecdsa-with-SHA256" in text
    lines = [line.strip() for line in text.splitlines()]
    assert "Subject:" in lines
    place = lines.index("X509v3 Subject Alternative Name: critical")
    assert lines[place + 1] == f"URI:{CART}"
    assert text.count("X509v3") == 1


@pytest.mark.interop
async def test_the_key_is_its_own_and_pkcs8():
    asked = new_request(CART)
    assert asked.key_pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    of_key = await run_tool("openssl", "pkey", "-pubout", stdin=asked.key_pem)
    of_request = await run_tool("openssl", "req", "-noout", "-pubkey", stdin=asked.request_pem.encode())
    assert of_key.stdout == of_request.stdout


def test_every_one_has_a_fresh_key():
    assert len({new_request(CART).key_pem for _ in range(5)}) == 5


def test_the_key_is_not_shown():
    assert "PRIVATE" not in repr(new_request(CART))
