"""The certificates of a dump, key by key (hbone-controlplane 7.3)."""

from __future__ import annotations

import base64
import datetime
import json
import re
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from hbone_py.identity import SpiffeId
from hbone_py.tls.credentials import Credentials
from mesh_py.identity import signing
from mesh_py.identity.certificate_dump import IdentityState, dump_certificates
from tests.support.processes import run_tool
from tests.support.require import require_tool

if TYPE_CHECKING:
    from mesh_py.identity.signing import CertificateAuthority

SLEEP = SpiffeId("cluster.local", "default", "sleep")
BEGINS = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
ENDS = datetime.datetime(2036, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def intermediate() -> CertificateAuthority:
    root = signing.new_root(BEGINS, ENDS)
    return signing.new_intermediate(root, BEGINS, ENDS)


@pytest.fixture(scope="module")
def credentials(intermediate: CertificateAuthority) -> Credentials:
    leaf = signing.issue(intermediate, SLEEP, BEGINS, ENDS)
    assert leaf.key_pem is not None
    return Credentials(leaf.chain_pem, leaf.key_pem, leaf.roots_pem)


def pem_of(entry: dict[str, str]) -> str:
    return base64.b64decode(entry["pem"], validate=True).decode()


def test_an_identity_with_its_certificates(credentials, intermediate):
    (entry,) = dump_certificates([IdentityState(str(SLEEP), credentials)])
    assert list(entry) == ["identity", "state", "certChain", "rootCerts"]
    assert (entry["identity"], entry["state"]) == ("spiffe://cluster.local/ns/default/sa/sleep", "Available")
    shown = [x509.load_pem_x509_certificate(pem_of(one).encode()) for one in entry["certChain"]]
    assert shown == [credentials.leaf, intermediate.certificate]
    roots = [x509.load_pem_x509_certificate(pem_of(one).encode()) for one in entry["rootCerts"]]
    assert roots == [intermediate.root]


def test_one_certificate(credentials):
    (entry,) = dump_certificates([IdentityState(str(SLEEP), credentials)])
    leaf = entry["certChain"][0]
    assert list(leaf) == ["pem", "serialNumber", "validFrom", "expirationTime"]
    assert leaf["serialNumber"] == str(credentials.serial)
    assert (leaf["validFrom"], leaf["expirationTime"]) == ("2026-01-02T03:04:05Z", "2036-01-02T03:04:05Z")


def test_the_pem_text(credentials):
    (entry,) = dump_certificates([IdentityState(str(SLEEP), credentials)])
    first, *body, last, nothing = pem_of(entry["certChain"][0]).split("\n")
    assert (first, last, nothing) == ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "")
    assert {len(line) for line in body[:-1]} == {60}
    assert re.fullmatch(r"[A-Za-z0-9+/]{1,60}={0,2}", body[-1])


@pytest.mark.interop
async def test_the_command_line_reads_it(credentials):
    (entry,) = dump_certificates([IdentityState(str(SLEEP), credentials)])
    command = [require_tool("openssl"), "x509", "-noout", "-ext", "subjectAltName"]
    done = await run_tool(*command, stdin=pem_of(entry["certChain"][0]).encode())
    assert b"URI:spiffe://cluster.local/ns/default/sa/sleep" in done.stdout


def test_roots_in_a_chain_are_shown_as_roots(credentials):
    with_root = Credentials(
        credentials.cert_chain_pem + credentials.roots_pem, credentials.key_pem, credentials.roots_pem
    )
    (entry,) = dump_certificates([IdentityState(str(SLEEP), with_root)])
    assert (len(entry["certChain"]), len(entry["rootCerts"])) == (2, 1)


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        pytest.param(IdentityState("a"), "Initializing", id="being fetched"),
        pytest.param(IdentityState("a", problem="no luck"), "Unavailable: no luck", id="failed"),
    ],
)
def test_identities_without_certificate(state, shown):
    (entry,) = dump_certificates([state])
    assert entry == {"identity": "a", "state": shown, "certChain": [], "rootCerts": []}


def test_a_dump_is_json(credentials):
    dump = dump_certificates([IdentityState(str(SLEEP), credentials), IdentityState("a")])
    assert json.loads(json.dumps(dump)) == dump
