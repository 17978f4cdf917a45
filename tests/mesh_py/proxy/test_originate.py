"""Contexts for TLS that a DestinationRule wants begun: which files are read, when again, and what is wrong with one."""

from __future__ import annotations

import dataclasses
import os
import ssl
from pathlib import Path

import pytest

from hbone_py.errors import TlsConfigError
from hbone_py.tls.context import TlsSettings
from mesh_py.manifests.client_tls import ClientTls, TlsMode
from mesh_py.proxy.originate import OriginatedTls
from mesh_py.rpc.errors import RootsError
from mesh_py.rpc.roots import Roots
from tests.support.certificates import TestRoot


@pytest.fixture
def tls(tmp_path: Path) -> ClientTls:
    files = TestRoot(tmp_path / "root").issue_server("client", "client.example")
    return ClientTls(TlsMode.MUTUAL, str(files.roots), str(files.chain), str(files.key))


def context(tls: ClientTls, settings: TlsSettings | None = None) -> object:
    return OriginatedTls(settings or TlsSettings()).context(tls)


def test_a_context_serves_until_a_file_changes(tls: ClientTls) -> None:
    contexts = OriginatedTls(TlsSettings())
    first = contexts.context(tls)
    assert contexts.context(dataclasses.replace(tls)) is first
    os.utime(tls.ca_certificates, ns=(1, 1))
    assert contexts.context(tls) is not first


def test_the_system_is_believed_where_no_file_is_named() -> None:
    assert context(ClientTls(TlsMode.SIMPLE)) is not None
    assert context(ClientTls(TlsMode.SIMPLE), TlsSettings(post_quantum_only=True)) is not None


def test_a_key_that_others_may_read_is_not_used(tls: ClientTls) -> None:
    os.chmod(tls.private_key, 0o640)
    with pytest.raises(TlsConfigError, match=r"client\.key: others may read this key: chmod 600 it"):
        context(tls)


def test_a_secret_is_read_where_it_is_mounted(tls: ClientTls, tmp_path: Path) -> None:
    folder = tmp_path / "mounted" / "secret"
    folder.mkdir(parents=True)
    for name, file in (("ca.crt", tls.ca_certificates), ("tls.crt", tls.client_certificate)):
        (folder / name).symlink_to(file)
    named = ClientTls(TlsMode.MUTUAL, credential_name="secret")
    contexts = OriginatedTls(TlsSettings(), folder.parent)
    with pytest.raises(TlsConfigError, match=r"mounted/secret/tls\.key: No such file"):
        contexts.context(named)
    (folder / "tls.key").symlink_to(tls.private_key)
    assert contexts.context(named) is contexts.context(named)
    (folder / "tls.key").unlink()
    contexts.context(ClientTls(TlsMode.SIMPLE, credential_name="secret"))  # shows nothing


def test_a_secret_that_is_nowhere_is_told() -> None:
    with pytest.raises(TlsConfigError, match="credentialName secret: CREDENTIALS_DIR does not say"):
        context(ClientTls(TlsMode.SIMPLE, credential_name="secret"))


def test_a_secret_that_a_rule_may_not_name_is_not_read(tls: ClientTls, tmp_path: Path) -> None:
    (folder := tmp_path / "secret").mkdir()
    (folder / "ca.crt").symlink_to(tls.ca_certificates)
    named = ClientTls(TlsMode.SIMPLE, credential_name="secret")
    contexts = OriginatedTls(TlsSettings(), tmp_path)
    contexts.context(named)
    with pytest.raises(TlsConfigError, match="credentialName secret: the DestinationRule has no workloadSelector"):
        contexts.context(named.withheld)


def test_roots_of_a_version_that_is_none_are_told(tls: ClientTls) -> None:
    file = Path(tls.ca_certificates)
    der = ssl.PEM_cert_to_DER_cert(file.read_text())
    broken = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020107"), 1)
    file.write_text(ssl.DER_cert_to_PEM_cert(broken))
    with pytest.raises(TlsConfigError, match="7 is not a valid X509 version"):
        context(tls)
    with pytest.raises(RootsError, match="7 is not a valid X509 version"):
        Roots(str(file)).read()


@pytest.mark.parametrize(
    ("field", "content", "complaint"),
    [
        pytest.param("ca_certificates", None, "root.crt: No such file", id="no roots"),
        pytest.param("ca_certificates", "?", "root.crt: no PEM certificate", id="roots that are none"),
        pytest.param("client_certificate", "?", "no PEM certificate", id="a certificate that is none"),
        pytest.param("private_key", None, "client.key: No such file", id="no key"),
        pytest.param("private_key", "?", "not a PEM private key", id="a key that is none"),
    ],
)
def test_what_is_wrong_is_told(tls: ClientTls, tmp_path: Path, field: str, content: str | None, complaint: str) -> None:
    file = tmp_path / "root" / getattr(tls, field).rpartition("/")[2]
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    with pytest.raises(TlsConfigError, match=complaint):
        context(tls)
