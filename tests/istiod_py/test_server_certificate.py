"""The certificate of our own port: renewed in time, and kept while nothing better is to be had."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from hbone_py import TlsSettings
from istiod_py.authority import FolderAuthority
from istiod_py.server_certificate import ServerCertificate
from mesh_py.identity.signing import CaError

if TYPE_CHECKING:
    from pathlib import Path

HOUR = datetime.timedelta(hours=1)


class Port:
    """A certificate with a clock that the test turns, and an authority that it breaks."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.datetime.now(datetime.UTC)
        self.authority = FolderAuthority(folder, lambda: self.now)
        names = ("localhost", "127.0.0.1")
        self.certificate = ServerCertificate(self.authority, names, HOUR, TlsSettings(), lambda: self.now)


@pytest.fixture
def port(tmp_path: Path) -> Port:
    return Port(tmp_path)


def test_the_same_until_half_its_life(port: Port) -> None:
    first = port.certificate.context()
    port.now += 0.49 * HOUR
    port.certificate.renew()
    assert port.certificate.context() is first
    port.now += 0.02 * HOUR
    port.certificate.renew()
    assert port.certificate.context() is not first


def test_at_once_when_the_authority_has_changed(port: Port) -> None:
    first = port.certificate.context()
    port.certificate.renew(at_once=True)
    assert port.certificate.context() is not first


def test_a_failed_renewal_keeps_what_still_holds_and_tries_again(
    port: Port, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def cannot(*_: object) -> None:
        raise CaError("the signer has gone")

    first = port.certificate.context()
    port.now += 0.6 * HOUR
    with monkeypatch.context() as patch:
        patch.setattr(port.authority, "issue_server", cannot)
        port.certificate.renew()
        port.certificate.renew()
    assert port.certificate.context() is first
    assert caplog.text.count("the signer has gone") == 1  # not at every look
    port.now += 0.21 * HOUR
    port.certificate.renew()
    assert port.certificate.context() is not first
