"""Files that belong together, and the one line that tells what is wrong with those that do not."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from hbone_py.errors import TlsConfigError
from hbone_py.identity import SpiffeId
from hbone_py.tls.credentials import Credentials
from tests.hbone_py.tls.authority import CLIENT, DAY, NOW, SERVER, Authority, key_pem, new_key, to_pem

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, credentials: Credentials) -> dict[str, Path]:
    files = {"cert_chain": folder / "chain.pem", "key": folder / "key.pem", "roots": folder / "roots.pem"}
    files["cert_chain"].write_bytes(credentials.cert_chain_pem)
    files["key"].write_bytes(credentials.key_pem)
    files["roots"].write_bytes(credentials.roots_pem)
    return files


def test_what_they_tell(root: Authority, tmp_path: Path):
    made = root.intermediate().issue(CLIENT)
    files = write(tmp_path, made)
    read = Credentials.from_files(**files)
    assert read == made == Credentials.from_files(*map(str, files.values()))
    assert read.identity == SpiffeId.parse(CLIENT)
    assert len(read.chain) == 2
    assert read.leaf == read.chain[0]
    assert read.serial == read.leaf.serial_number
    assert read.roots == root.roots
    assert read.not_before == (NOW - DAY).replace(microsecond=0)
    assert read.not_after == (NOW + DAY).replace(microsecond=0)


@pytest.mark.parametrize(
    ("uris", "identity"),
    [
        ([], None),
        (["https://a.example/"], None),
        ([CLIENT, SERVER], CLIENT),
        (["https://a.example/", SERVER], SERVER),
    ],
)
def test_identity(root: Authority, uris, identity):
    assert root.issue(*uris).identity == (identity and SpiffeId.parse(identity))


def test_an_intermediate_that_has_ended_ends_the_chain(root: Authority):
    issued = root.intermediate().issue(CLIENT, ends=NOW + 30 * DAY)
    assert issued.not_after == (NOW + 30 * DAY).replace(microsecond=0)
    assert issued.usable_until == (NOW + 10 * DAY).replace(microsecond=0)
    assert root.issue(CLIENT).usable_until == (NOW + DAY).replace(microsecond=0)


def test_secrets_are_not_shown(client_credentials: Credentials):
    assert "PRIVATE" not in repr(client_credentials)


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_keys_of_either_kind(root: Authority, kind):
    assert root.issue(CLIENT, key=new_key(kind)).identity == SpiffeId.parse(CLIENT)


def test_comments_and_blank_lines_around_pem_do_no_harm(client_credentials: Credentials):
    noisy = b"\n# leaf\n" + client_credentials.cert_chain_pem + b"\n\n"
    read = Credentials(noisy, client_credentials.key_pem, b"# roots\n" + client_credentials.roots_pem)
    assert read.leaf == client_credentials.leaf


OTHER_KEY = key_pem(new_key())

BAD_FILES = [
    pytest.param("cert_chain", b"", "no PEM certificate in it", id="empty chain"),
    pytest.param("cert_chain", b"\x30\x82\x01", "no PEM certificate in it", id="DER instead of PEM"),
    pytest.param("cert_chain", OTHER_KEY, "not a PEM certificate", id="a key where the chain should be"),
    pytest.param(
        "cert_chain",
        b"-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n",
        "not a PEM certificate",
        id="a broken certificate",
    ),
    pytest.param("key", b"", "not a PEM private key", id="empty key"),
    pytest.param("key", b"nonsense", "not a PEM private key", id="a broken key"),
    pytest.param("key", OTHER_KEY, "does not belong to the certificate", id="another's key"),
    pytest.param("roots", b"", "no PEM certificate in it", id="empty roots"),
]


@pytest.mark.parametrize(("which", "content", "reason"), BAD_FILES)
def test_a_bad_file_is_named(client_credentials: Credentials, tmp_path: Path, which, content, reason):
    files = write(tmp_path, client_credentials)
    files[which].write_bytes(content)
    with pytest.raises(TlsConfigError) as caught:
        Credentials.from_files(**files)
    assert str(caught.value).startswith(f"{files[which]}: {reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("which", ["cert_chain", "key", "roots"])
def test_a_missing_file_is_named(client_credentials: Credentials, tmp_path: Path, which):
    files = write(tmp_path, client_credentials)
    files[which].unlink()
    with pytest.raises(TlsConfigError, match=f"^{files[which]}: No such file or directory$"):
        Credentials.from_files(**files)


def test_a_key_with_password_is_refused(root: Authority, tmp_path: Path):
    key = new_key()
    files = write(tmp_path, root.issue(CLIENT, key=key))
    files["key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(TlsConfigError, match=f"^{files['key']}: not a PEM private key without password"):
        Credentials.from_files(**files)


def test_a_chain_in_the_wrong_order_is_told_as_that(root: Authority):
    issued = root.intermediate().issue(CLIENT)
    wrong = to_pem(*reversed(issued.chain))
    with pytest.raises(TlsConfigError, match="the leaf, whose key we have, must come first"):
        Credentials(wrong, issued.key_pem, issued.roots_pem)


@pytest.mark.parametrize(
    ("part", "instead", "reason"),
    [
        pytest.param("2a8648ce3d0201", "2a8648ce3d0277", "Unknown key type", id="an algorithm nobody has"),
        pytest.param("2a8648ce3d030107", "2a8648ce3d030177", "not supported", id="a curve nobody has"),
        pytest.param("03420004", "03420005", "a public key that cannot be read", id="a point that is none"),
        pytest.param("a003020102", "a003020107", "not a valid X509 version", id="a version that is none"),
    ],
)
def test_a_certificate_that_an_authority_has_broken_is_told_as_that(root: Authority, part, instead, reason):
    made = root.issue(CLIENT)
    der = made.leaf.public_bytes(Encoding.DER)
    broken = der.replace(bytes.fromhex(part), bytes.fromhex(instead), 1)
    assert broken != der
    armoured = ssl.DER_cert_to_PEM_cert(broken).encode()
    with pytest.raises(TlsConfigError, match=f"certificate chain: .*{reason}"):
        Credentials(armoured, made.key_pem, made.roots_pem)


def test_names_of_a_kind_that_nobody_reads_name_nobody(root: Authority):
    made = root.issue(CLIENT)
    name = bytes([len(CLIENT)]) + CLIENT.encode()
    der = made.leaf.public_bytes(Encoding.DER).replace(b"\x86" + name, b"\xa3" + name)  # an X.400 address in its place
    strange = Credentials(ssl.DER_cert_to_PEM_cert(der).encode(), made.key_pem, made.roots_pem)
    assert strange.leaf != made.leaf
    assert strange.identity is None
