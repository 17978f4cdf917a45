"""An authority's answer, in the order the protocol says and in others."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from hbone_py.errors import TlsConfigError
from hbone_py.identity import SpiffeId
from mesh_py.identity.signed_answer import credentials_of
from mesh_py.identity.signing_request import new_request
from tests.support.grpcio_ca import Authority

if TYPE_CHECKING:
    from collections.abc import Callable

CART = SpiffeId("cluster.local", "shop", "cart")
ROOT, OTHER_ROOT = Authority("root"), Authority("other root")
BETWEEN = Authority("intermediate", ROOT)
ASKED = new_request(CART)
PUBLIC = x509.load_pem_x509_csr(ASKED.request_pem.encode()).public_key()
LEAF = BETWEEN.sign(PUBLIC, str(CART), 600)
OTHER = "spiffe://cluster.local/ns/shop/sa/other"
FOR_ANOTHER = BETWEEN.sign(PUBLIC, OTHER, 600)
FOR_NOBODY = BETWEEN.sign(PUBLIC, "https://not.spiffe", 600)
NOW = datetime.datetime.now(datetime.UTC)


def taken(*chain: str, wanted: SpiffeId | None = CART, minutes: float = 0):
    """What comes of an answer that is read `minutes` from now."""
    return credentials_of(chain, ASKED.key_pem, wanted, NOW + datetime.timedelta(minutes=minutes))


def test_leaf_intermediates_roots():
    credentials = taken(LEAF, BETWEEN.pem, ROOT.pem + OTHER_ROOT.pem)
    assert credentials.chain[1:] == (BETWEEN.certificate,)
    assert credentials.roots == (ROOT.certificate, OTHER_ROOT.certificate)
    assert credentials.identity == CART
    assert credentials.key_pem == ASKED.key_pem


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pem: pem.rstrip(),
        lambda pem: "\n\n" + pem + "\n",
        lambda pem: "subject=/CN=x\n" + pem,
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem + OTHER_ROOT.pem,
    ],
    ids=["no newline", "blank lines", "words before", "CRLF", "a second certificate"],
)
def test_what_is_around_a_certificate_does_not_matter(spoil: Callable[[str], str]):
    credentials = taken(spoil(LEAF), spoil(BETWEEN.pem), ROOT.pem)
    assert [len(credentials.chain), len(credentials.roots)] == [2, 1]


@pytest.mark.parametrize(
    ("chain", "problem"),
    [
        ([], "the authority's answer is empty: no certificate in it"),
        ([LEAF], "the authority's answer has one element: a certificate without roots to trust"),
        ([LEAF] + [BETWEEN.pem] * 300 + [ROOT.pem], "the authority's answer has a chain of 301, more than 16"),
        # No end to any of its beginnings: a search that tried each would take minutes.
        (["-----BEGIN CERTIFICATE-----" * 38_000, ROOT.pem], "the authority's answer: element 1 is no PEM certificate"),
        (["", ROOT.pem], "the authority's answer: element 1 is no PEM certificate"),
        ([LEAF, "x", ROOT.pem], "the authority's answer: element 2 is no PEM certificate"),
        ([LEAF, ""], "the authority's answer: roots: no PEM certificate in it"),
        ([ROOT.pem, ROOT.pem], "the authority's answer: key: does not belong to the certificate"),
        ([BETWEEN.pem, LEAF, ROOT.pem], "the authority's answer: certificate chain: the leaf, whose key we have, must"),
        ([LEAF, "x" * (1 << 20)], "the authority's answer is larger than 1048576 characters"),
        (
            ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", ROOT.pem],
            "the authority's answer: certificate chain: not a PEM certificate",
        ),
    ],
)
def test_what_is_not_taken(chain, problem):
    with pytest.raises(TlsConfigError) as caught:
        taken(*chain)
    assert str(caught.value).startswith(problem)


def test_it_must_name_whom_it_was_asked_for():
    with pytest.raises(
        TlsConfigError, match=r"^the authority's answer names spiffe://\S+/sa/other, not spiffe://\S+cart$"
    ):
        taken(FOR_ANOTHER, BETWEEN.pem, ROOT.pem)
    assert str(taken(FOR_ANOTHER, BETWEEN.pem, ROOT.pem, wanted=None).identity) == OTHER
    with pytest.raises(TlsConfigError, match="names nobody"):
        taken(FOR_NOBODY, BETWEEN.pem, ROOT.pem)


@pytest.mark.parametrize(
    ("roots", "minutes", "problem"),
    [
        (OTHER_ROOT, 0, "certificate chain: does not lead to the roots: unable to get"),
        (ROOT, -2, "certificate: not valid before 2"),
        (ROOT, 10.1, "certificate: expired at 2"),
    ],
)
def test_what_no_peer_would_believe_is_not_taken(roots: Authority, minutes: float, problem: str):
    with pytest.raises(TlsConfigError, match=f"^the authority's answer: {problem}"):
        taken(LEAF, BETWEEN.pem, roots.pem, minutes=minutes)
