"""Which source is chosen, and what each gives."""

from __future__ import annotations

import datetime
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import TlsConfigError
from hbone_py.identity import SpiffeId
from mesh_py.identity.layout import CERT_CHAIN, KEY, ROOT_CERT, identity_folder, write_leaf
from mesh_py.identity.local_ca import LocalCa
from mesh_py.identity.signing import CaError
from mesh_py.identity.sources import (
    CertificateFolder,
    CertificateSettings,
    FileTriple,
    OwnAuthority,
    choose_source,
)

if TYPE_CHECKING:
    from pathlib import Path

SLEEP = SpiffeId("cluster.local", "default", "sleep")
HTTPBIN = SpiffeId("cluster.local", "default", "httpbin")
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
HOUR = datetime.timedelta(hours=1)


def clock() -> datetime.datetime:
    return NOW


@pytest.fixture(scope="module")
def authority() -> LocalCa:
    return LocalCa.throw_away(NOW)


@pytest.fixture
def folder(authority: LocalCa, tmp_path: Path) -> Path:
    """A folder with the certificate of SLEEP."""
    write_leaf(identity_folder(tmp_path, SLEEP), authority.issue(SLEEP, NOW))
    return tmp_path


@pytest.fixture
def triple(folder: Path) -> FileTriple:
    where = identity_folder(folder, SLEEP)
    return FileTriple(where / CERT_CHAIN, where / KEY, where / ROOT_CERT)


def no_authority() -> LocalCa:
    raise AssertionError("FAKE_CA was not asked for")


# What is chosen ---------------------------------------------------------------------------------------------------


@pytest.fixture
def everything(triple: FileTriple, folder: Path) -> CertificateSettings:
    """All that can be set; the tests take away what comes first."""
    return CertificateSettings(
        cert_chain=triple.cert_chain,
        key=triple.key,
        root_cert=triple.root_cert,
        cert_dir=folder,
        fake_ca=True,
        is_dedicated=True,
        lifetime=HOUR,
    )


def test_the_first_that_is_set_wins(everything, triple, folder, authority, caplog):
    embedded = LocalCa.throw_away(NOW)
    assert choose_source(everything, clock, fake_ca=no_authority, embedded_ca=embedded) == triple

    settings = replace(everything, cert_chain=None, key=None, root_cert=None)
    assert choose_source(settings, clock, fake_ca=no_authority, embedded_ca=embedded) == CertificateFolder(folder)

    settings = replace(settings, cert_dir=None)
    assert caplog.text == ""
    chosen = choose_source(settings, clock, fake_ca=lambda: authority, embedded_ca=embedded)
    assert chosen == OwnAuthority(authority, clock, HOUR)
    assert "FAKE_CA signs for any identity" in caplog.text

    settings = replace(settings, fake_ca=False)
    chosen = choose_source(settings, clock, fake_ca=no_authority, embedded_ca=embedded)
    assert chosen == OwnAuthority(embedded, clock, HOUR)

    with pytest.raises(TlsConfigError, match=r"^no certificates: set CA_ADDRESS, or WORKLOAD_CERT_CHAIN"):
        choose_source(settings, clock, fake_ca=no_authority)


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        (["key"], "WORKLOAD_CERT_CHAIN, WORKLOAD_ROOT_CERT without WORKLOAD_KEY: set all three"),
        (["cert_chain", "root_cert"], "WORKLOAD_KEY without WORKLOAD_CERT_CHAIN, WORKLOAD_ROOT_CERT: set all three"),
    ],
)
def test_a_part_of_the_three_files_is_refused(everything, missing, text):
    settings = replace(everything, **dict.fromkeys(missing))
    with pytest.raises(TlsConfigError, match=f"^{text}$"):
        choose_source(settings, clock, fake_ca=no_authority)


def test_one_certificate_cannot_serve_a_node(everything):
    settings = replace(everything, is_dedicated=False)
    with pytest.raises(TlsConfigError, match="set PROXY_MODE=dedicated, or for the workloads of a node WORKLOAD_CERT"):
        choose_source(settings, clock, fake_ca=no_authority)


def test_files_that_cannot_be_used_are_told_at_the_start(everything, triple):
    triple.cert_chain.write_text("not a certificate")
    with pytest.raises(TlsConfigError, match=f"^{triple.cert_chain}: no PEM certificate in it$"):
        choose_source(everything, clock, fake_ca=no_authority)


def test_a_folder_that_is_none(tmp_path):
    missing = tmp_path / "missing"
    with pytest.raises(TlsConfigError, match=f"^WORKLOAD_CERT_DIR: {missing} is not a folder$"):
        choose_source(CertificateSettings(cert_dir=missing), clock, fake_ca=no_authority)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CaError("its key is open to others"), "FAKE_CA: its key is open to others"),
        (PermissionError(13, "Permission denied", "/state/ca"), "FAKE_CA: /state/ca: Permission denied"),
    ],
)
def test_a_fake_ca_that_cannot_be_opened(error, text):
    def failing() -> LocalCa:
        raise error

    with pytest.raises(TlsConfigError, match=f"^{text}$"):
        choose_source(CertificateSettings(fake_ca=True), clock, fake_ca=failing)


# What they give ---------------------------------------------------------------------------------------------------


def test_one_certificate_is_for_whoever_asks(triple):
    """Dedicated mode does not compare names (hbone-controlplane 3.1)."""
    assert triple.load(SLEEP) == triple.load(HTTPBIN)
    assert triple.load(HTTPBIN).identity == SLEEP
    assert not triple.renews


def test_a_folder_gives_each_its_own(folder, authority):
    write_leaf(identity_folder(folder, HTTPBIN), authority.issue(HTTPBIN, NOW))
    source = CertificateFolder(folder)
    assert [source.load(identity).identity for identity in (SLEEP, HTTPBIN)] == [SLEEP, HTTPBIN]
    assert not source.renews


@pytest.mark.parametrize("asked", [HTTPBIN, SpiffeId("other.example", "default", "sleep")])
def test_a_certificate_in_the_wrong_place_is_refused(folder, authority, asked):
    """Also for its trust domain, which is not part of the path."""
    where = identity_folder(folder, asked)
    write_leaf(where, authority.issue(SLEEP, NOW), replace=True)
    with pytest.raises(TlsConfigError, match=f"^{where / CERT_CHAIN}: names {SLEEP}, not {asked}$"):
        CertificateFolder(folder).load(asked)


def test_an_authority_signs_for_anybody(authority):
    source = OwnAuthority(authority, clock, HOUR)
    for identity in (SLEEP, SpiffeId("other.example", "far", "away")):
        credentials = source.load(identity)
        assert credentials.identity == identity
        assert credentials.usable_until == NOW + HOUR
        assert credentials.roots == (authority.authority.root,)
    assert source.renews
    assert source.stamp(SLEEP) == source.stamp(HTTPBIN)


def test_an_authority_that_has_expired(authority):
    later = NOW + datetime.timedelta(days=20_000)
    with pytest.raises(TlsConfigError, match="hold until"):
        OwnAuthority(authority, lambda: later).load(SLEEP)


# When they change -------------------------------------------------------------------------------------------------


def touch(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")


def replace_file(file: Path) -> None:
    """By another of the same size and time."""
    before, draft = file.stat(), file.with_name("draft")
    draft.write_bytes(file.read_bytes())
    draft.replace(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", [CERT_CHAIN, KEY, ROOT_CERT])
@pytest.mark.parametrize(
    "change", [touch, replace_file, lambda file: file.unlink()], ids=["write", "replace", "remove"]
)
def test_a_stamp_follows_each_file(folder, name, change):
    source, other = CertificateFolder(folder), HTTPBIN
    before, others = source.stamp(SLEEP), source.stamp(other)
    assert source.stamp(SLEEP) == before
    change(identity_folder(folder, SLEEP) / name)
    assert source.stamp(SLEEP) != before
    assert source.stamp(other) == others
