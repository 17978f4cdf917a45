"""Which of its certificates a process takes."""

from __future__ import annotations

import datetime
import logging
from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import TlsConfigError
from hbone_py.tls import TlsSettings
from mesh_py.identity.ca_client import CaSettings
from mesh_py.identity.choice import open_certificates
from mesh_py.identity.remote_store import RemoteStore
from mesh_py.identity.sources import CertificateSettings
from mesh_py.identity.store import CertificateStore
from mesh_py.rpc.bearer import BearerToken
from mesh_py.rpc.endpoint import Address, Endpoint
from mesh_py.rpc.roots import Roots

if TYPE_CHECKING:
    from mesh_py.identity.local_ca import LocalCa


def clock() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def no_authority() -> LocalCa:
    raise AssertionError("FAKE_CA was not asked for")


def authority(token: BearerToken | None) -> CaSettings:
    endpoint = Endpoint(Address("istiod", 15012), Roots(), token=token)
    return CaSettings(endpoint, datetime.timedelta(hours=1), impersonates=True)


def test_an_authority_elsewhere_comes_first(tmp_path, caplog):
    settings = CertificateSettings(ca=authority(BearerToken("eyJ")), cert_dir=tmp_path, fake_ca=True)
    with caplog.at_level(logging.INFO):
        chosen = open_certificates(settings, TlsSettings(), clock, fake_ca=no_authority)
    assert isinstance(chosen, RemoteStore)
    assert caplog.messages == ["certificates are signed by the authority at istiod:15012"]


def test_no_token_is_told(caplog):
    open_certificates(CertificateSettings(ca=authority(None)), TlsSettings(), clock, fake_ca=no_authority)
    assert "the authority at istiod:15012 is shown no token: set AUTH_TOKEN" in caplog.text


def test_else_what_is_at_hand(tmp_path):
    settings = CertificateSettings(cert_dir=tmp_path)
    assert isinstance(open_certificates(settings, TlsSettings(), clock, fake_ca=no_authority), CertificateStore)


def test_or_nothing():
    with pytest.raises(TlsConfigError, match=r"^no certificates: set CA_ADDRESS"):
        open_certificates(CertificateSettings(), TlsSettings(), clock, fake_ca=no_authority)
