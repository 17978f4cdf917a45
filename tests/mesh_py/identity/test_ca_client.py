"""Asking an authority for certificates; grpcio and plain `cryptography` are the authority, openssl judges what came."""

from __future__ import annotations

import asyncio
import datetime
import threading
from typing import TYPE_CHECKING

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hbone_py.errors import HboneError, TlsConfigError
from hbone_py.identity import SpiffeId
from hbone_py.tls import TlsSettings
from mesh_py.identity import ca_client
from mesh_py.identity.ca_client import CaClient, CaSettings, SigningFailed
from mesh_py.rpc.bearer import BearerToken
from mesh_py.rpc.endpoint import Address, Endpoint
from mesh_py.rpc.roots import Roots
from tests.support.certificates import TestRoot
from tests.support.grpcio_ca import Authority, GrpcioCa, serving_ca
from tests.support.processes import eventually, free_port, run_tool

if TYPE_CHECKING:
    from tests.support.certificates import CertificateFiles

pytestmark = pytest.mark.interop

CART = SpiffeId("cluster.local", "shop", "cart")
HOUR = datetime.timedelta(hours=1)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@pytest.fixture
def ca():
    return GrpcioCa()


@pytest.fixture
async def open_client(ca_address: str, ca_files: CertificateFiles):
    made = []

    def make(port: int, *, impersonates: bool = True, roots: str = "", **more) -> CaClient:
        endpoint = Endpoint(Address(ca_address, port), Roots(roots or str(ca_files.roots), "CA_ROOT_CA"), **more)
        made.append(CaClient(CaSettings(endpoint, HOUR, impersonates), TlsSettings(), now))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def port(ca, ca_address, ca_files):
    with serving_ca(ca, ca_address, ca_files) as port:
        yield port


async def test_a_request_names_one_identity_and_nothing_else(ca, open_client, port):
    client = open_client(port, token=BearerToken("eyJ"), cluster_id="Kubernetes", headers={"x-tenant": "blue"})
    await client.fetch(CART)
    (asked,) = ca.asked
    assert asked.impersonated == str(CART)
    assert asked.seconds == 3600
    assert asked.metadata["authorization"] == "Bearer eyJ"
    assert asked.metadata["clusterid"] == "Kubernetes"
    assert asked.metadata["x-tenant"] == "blue"
    csr = asked.csr
    assert csr.is_signature_valid
    assert csr.subject == x509.Name([])
    assert isinstance(csr.public_key(), ec.EllipticCurvePublicKey)
    assert csr.public_key().curve.name == "secp256r1"
    (names,) = csr.extensions
    assert names.critical
    assert names.value == x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(CART))])


async def test_openssl_verifies_what_came(ca, open_client, port, tmp_path):
    ca.intermediate = Authority("intermediate", ca.root)
    credentials = await open_client(port).fetch(CART)
    files = {"chain": credentials.cert_chain_pem, "key": credentials.key_pem, "roots": credentials.roots_pem}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    chain, key, roots = (str(tmp_path / name) for name in files)
    verified = await run_tool("openssl", "verify", "-CAfile", roots, "-untrusted", chain, chain)
    assert verified.returncode == 0, verified.stderr
    public = await run_tool("openssl", "pkey", "-in", key, "-pubout")
    shown = await run_tool("openssl", "x509", "-in", chain, "-noout", "-pubkey")
    assert public.stdout == shown.stdout
    assert credentials.identity == CART
    assert len(credentials.chain) == 2
    assert len(credentials.roots) == 1


async def test_every_request_has_a_fresh_key(ca, open_client, port):
    client = open_client(port)
    keys = {(await client.fetch(CART)).key_pem for _ in range(3)}
    assert len(keys) == 3
    assert len({asked.csr.public_key().public_numbers().x for asked in ca.asked}) == 3


async def test_a_dedicated_proxy_asks_for_itself_and_takes_what_it_is(ca, open_client, port):
    credentials = await open_client(port, impersonates=False).fetch(CART)
    assert ca.identities == [None]
    assert str(credentials.identity) == ca.own_identity


async def test_the_token_is_read_for_each_request(ca, open_client, port, tmp_path):
    token = tmp_path / "token"
    token.write_text("one\n")
    client = open_client(port, token=BearerToken.of(str(token)))
    await client.fetch(CART)
    token.write_text("two\n")
    await client.fetch(CART)
    assert [asked.metadata["authorization"] for asked in ca.asked] == ["Bearer one", "Bearer two"]
    token.write_text("")
    with pytest.raises(SigningFailed, match="the token is empty"):
        await client.fetch(CART)


@pytest.mark.parametrize(
    ("status", "text", "expected", "is_outage"),
    [
        (
            grpc.StatusCode.UNAUTHENTICATED,
            "request authenticate failure",
            "signing gRPC error (Unauthenticated): request authenticate failure: the authority does not know us",
            False,
        ),
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            "requested TTL is too long",
            "signing gRPC error (InvalidArgument): requested TTL is too long: is SECRET_TTL longer than",
            False,
        ),
        (grpc.StatusCode.INTERNAL, "", "signing gRPC error (Internal): no message", False),
        (grpc.StatusCode.UNAVAILABLE, "starting", "signing gRPC error (Unavailable): starting: the authority is", True),
    ],
)
async def test_a_refusal_is_told_with_what_to_do(ca, open_client, port, status, text, expected, is_outage):
    ca.refusal = (status, text)
    with pytest.raises(SigningFailed) as caught:
        await open_client(port).fetch(CART)
    assert str(caught.value).startswith(expected)
    assert caught.value.is_outage is is_outage
    assert isinstance(caught.value, HboneError)


async def test_nobody_there(open_client, ca_address):
    port = free_port(ca_address)
    with pytest.raises(SigningFailed, match=f"cannot connect to {ca_address}:{port}") as caught:
        await open_client(port).fetch(CART)
    assert caught.value.is_outage


async def test_somebody_else_there(open_client, port, tmp_path):
    stranger = TestRoot(tmp_path / "elsewhere")
    with pytest.raises(SigningFailed, match="certificate verify failed"):
        await open_client(port, roots=str(stranger.roots)).fetch(CART)


async def test_an_authority_that_does_not_answer(ca, open_client, port, monkeypatch):
    """Whoever of the two sees the deadline first; grpcio's server does keep it."""
    monkeypatch.setattr(ca_client, "CALL_SECONDS", 0.2)
    ca.gate = threading.Event()
    with pytest.raises(SigningFailed, match=r"no answer from the authority at .* within 0\.2 s") as caught:
        await open_client(port).fetch(CART)
    ca.gate.set()
    assert caught.value.is_outage
    assert len(ca.asked) == 1


@pytest.mark.parametrize(
    ("reshape", "problem"),
    [
        (lambda chain: [], "the authority's answer is empty"),
        (lambda chain: chain[:1], "has one element: a certificate without roots to trust"),
        (lambda chain: ["junk", chain[-1]], "element 1 is no PEM certificate"),
        (lambda chain: [chain[0], "junk"], "roots: no PEM certificate in it"),
        (lambda chain: [chain[-1], chain[-1]], "key: does not belong to the certificate"),
        (lambda chain: [chain[0], Authority("root").pem], "does not lead to the roots: certificate signature failure"),
        (lambda chain: [chain[0], "x" * (2 << 20)], "is larger than 1048576 characters"),
    ],
)
async def test_an_answer_of_another_shape_is_not_taken(ca, open_client, port, reshape, problem):
    ca.reshape = reshape
    with pytest.raises(TlsConfigError) as caught:
        await open_client(port).fetch(CART)
    assert problem in str(caught.value)


async def test_an_answer_without_end_is_not_even_read(ca, open_client, port):
    ca.reshape = lambda chain: [chain[0], "x" * (5 << 20)]
    with pytest.raises(SigningFailed, match=r"ResourceExhausted.*more than the limit of 4194304"):
        await open_client(port).fetch(CART)


async def test_a_certificate_of_somebody_else_is_not_taken(ca, open_client, port):
    def other(chain: list[str]) -> list[str]:
        return [ca.root.sign(ca.asked[-1].csr.public_key(), "spiffe://cluster.local/ns/shop/sa/other", 60), chain[-1]]

    ca.reshape = other
    with pytest.raises(TlsConfigError, match=r"names spiffe://\S+/sa/other, not spiffe://\S+/sa/cart"):
        await open_client(port).fetch(CART)


async def test_what_follows_the_first_certificate_of_an_element_is_passed_over(ca, open_client, port):
    ca.further_roots = [Authority("another")]
    ca.reshape = lambda chain: [chain[0] + ca.root.pem, chain[-1]]
    credentials = await open_client(port).fetch(CART)
    assert len(credentials.chain) == 1
    assert len(credentials.roots) == 2  # of the last element every one counts


async def test_one_connection_carries_all_until_the_roots_change(open_client, ca_address, ca_files, tmp_path):
    roots = tmp_path / "root-cert.pem"
    roots.write_bytes(ca_files.roots.read_bytes())
    with serving_ca(GrpcioCa(), ca_address, ca_files) as port:
        client = open_client(port, roots=str(roots))
        await client.fetch(CART)
        first = client._channel
        await client.fetch(CART)
        assert client._channel is first
        roots.write_bytes(TestRoot(tmp_path / "elsewhere").roots.read_bytes() + ca_files.roots.read_bytes())
        await client.fetch(CART)
        assert client._channel is not first
        roots.write_bytes((tmp_path / "elsewhere" / "root.crt").read_bytes())
        with pytest.raises(SigningFailed, match="certificate verify failed"):
            await client.fetch(CART)


async def test_new_roots_do_not_cut_who_is_being_answered(ca, open_client, port, ca_files, tmp_path):
    roots = tmp_path / "root-cert.pem"
    roots.write_bytes(ca_files.roots.read_bytes())
    client = open_client(port, roots=str(roots))
    ca.gate = threading.Event()
    async with asyncio.TaskGroup() as group:
        early = group.create_task(client.fetch(CART))
        await eventually(lambda: len(ca.asked) == 1, "the first asked")
        roots.write_bytes(ca_files.roots.read_bytes() * 2)
        late = group.create_task(client.fetch(CART))
        await eventually(lambda: len(ca.asked) == 2, "the second asked")
        ca.gate.set()
    assert early.result().identity == late.result().identity == CART


async def test_an_authority_that_restarts_is_asked_again(open_client, ca_address, ca_files):
    with serving_ca(GrpcioCa(), ca_address, ca_files) as port:
        client = open_client(port)
        await client.fetch(CART)
    with pytest.raises(SigningFailed) as caught:
        await client.fetch(CART)
    assert caught.value.is_outage
    with serving_ca(GrpcioCa(), ca_address, ca_files, port) as again:
        assert again == port
        assert (await client.fetch(CART)).identity == CART
