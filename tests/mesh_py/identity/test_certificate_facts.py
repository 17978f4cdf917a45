"""What a PEM text is said to hold, beside what openssl says."""

from __future__ import annotations

import datetime
import subprocess

import pytest

from hbone_py.identity import SpiffeId
from mesh_py.identity import signing
from mesh_py.identity.certificate_facts import (
    CertificateFacts,
    KeyFacts,
    OtherFacts,
    certificates_of,
    chain_problem,
    facts_of,
)
from tests.support.require import require_tool

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
ROOT = signing.new_root(NOW - 3 * DAY, NOW + 3 * DAY)
INTERMEDIATE = signing.new_intermediate(ROOT, NOW - 3 * DAY, NOW + 3 * DAY)
LEAF = signing.issue(INTERMEDIATE, SpiffeId("td", "ns", "sa"), NOW - DAY, NOW + DAY)
STRANGER = signing.new_root(NOW, NOW + DAY)


def openssl(pem: bytes, *arguments: str) -> str:
    command = [require_tool("openssl"), *arguments]
    return subprocess.run(command, input=pem, capture_output=True, check=True, timeout=20).stdout.decode()


def leaf_facts(now: datetime.datetime = NOW) -> CertificateFacts:
    facts = facts_of(LEAF.chain_pem, now)[0]
    assert isinstance(facts, CertificateFacts)
    return facts


def test_a_leafs_facts() -> None:
    facts = leaf_facts()
    assert (facts.subject, facts.names) == ("", ("URI:spiffe://td/ns/ns/sa/sa",))
    assert facts.issuer == "CN=hbone-mesh intermediate,O=hbone-mesh"
    assert (facts.is_ca, facts.key, facts.signature) == (False, "EC secp256r1", "sha256")
    assert facts.usages == ("digital_signature", "key_encipherment", "server_auth", "client_auth")


@pytest.mark.interop
def test_openssl_names_the_same_fingerprint_and_serial() -> None:
    facts = leaf_facts()
    said = openssl(LEAF.chain_pem, "x509", "-noout", "-fingerprint", "-sha256", "-serial")
    assert facts.sha256.upper() in said.replace(":", "")
    assert int(facts.serial, 16) == int(said.rpartition("serial=")[2], 16)


@pytest.mark.parametrize(
    ("now", "validity"),
    [(NOW, "valid"), (NOW + 2 * DAY, "expired"), (NOW - 2 * DAY, "not yet valid")],
    ids=["now", "later", "earlier"],
)
def test_validity_is_told_for_the_time_given(now: datetime.datetime, validity: str) -> None:
    assert leaf_facts(now).validity == validity


def test_every_block_is_told_in_its_order() -> None:
    assert LEAF.key_pem is not None
    pem = b"some words\n" + LEAF.key_pem + b"more words\n" + LEAF.chain_pem + LEAF.roots_pem
    key, leaf, intermediate, root = facts_of(pem, NOW)
    assert isinstance(key, KeyFacts)
    assert isinstance(leaf, CertificateFacts)
    assert key.key_sha256 == leaf.key_sha256
    assert [getattr(facts, "is_ca", None) for facts in (leaf, intermediate, root)] == [False, True, True]


@pytest.mark.parametrize(
    ("pem", "label"),
    [
        pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "CERTIFICATE", id="a"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "PRIVATE KEY", id="b"),
    ],
)
def test_a_block_that_cannot_be_read_says_why(pem: bytes, label: str) -> None:
    [facts] = facts_of(pem, NOW)
    assert isinstance(facts, OtherFacts)
    assert facts.label == label
    assert facts.problem


def test_other_blocks_are_named() -> None:
    pem = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----"
    assert facts_of(pem, NOW) == [OtherFacts("X509 CRL", "")]


def test_no_block_is_no_fact() -> None:
    assert facts_of(b"nothing here", NOW) == []


CHAIN = certificates_of(LEAF.chain_pem)


@pytest.mark.parametrize(
    ("chain", "roots", "problem"),
    [
        pytest.param(CHAIN, [ROOT.root], None, id="whole"),
        pytest.param([*CHAIN, ROOT.root], [ROOT.root], None, id="with the root itself"),
        pytest.param(CHAIN, [STRANGER.root, ROOT.root], None, id="one root of several"),
        pytest.param(CHAIN, [STRANGER.root], "certificate 2 is not signed by any of the roots", id="stranger"),
        pytest.param(CHAIN[:1], [ROOT.root], "certificate 1 is not signed by any of the roots", id="no intermediate"),
        pytest.param([CHAIN[0], ROOT.root], [ROOT.root], "certificate 1 is not signed by certificate 2", id="a gap"),
        pytest.param([], [ROOT.root], "no certificate", id="empty"),
    ],
)
def test_whether_a_chain_leads_to_a_root(chain, roots, problem: str | None) -> None:
    assert chain_problem(chain, roots) == problem
