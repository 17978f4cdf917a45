"""The authority's folder while we serve from it: rotation, and faults that change nothing."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from hbone_py.identity import SpiffeId
from istiod_py.authority import FolderAuthority
from mesh_py.identity.certificate_facts import certificates_of, chain_problem, names_of
from mesh_py.identity.key_files import PRIVATE, write_file
from mesh_py.identity.signing import CaError, new_root, to_pem, validity

if TYPE_CHECKING:
    from pathlib import Path

    from mesh_py.identity.signing import CertificateAuthority

NOW = datetime.datetime.now(datetime.UTC)
HOUR = datetime.timedelta(hours=1)
CART = SpiffeId("cluster.local", "shop", "cart")


def opened(folder: Path, *, intermediate: bool = False) -> FolderAuthority:
    return FolderAuthority(folder, lambda: NOW, intermediate=intermediate)


def another_root(lifetime: datetime.timedelta = 10 * HOUR, now: datetime.datetime = NOW) -> CertificateAuthority:
    return new_root(*validity(now, lifetime))


def append_root(folder: Path, root: CertificateAuthority) -> None:
    file = folder / "root-cert.pem"
    write_file(file, file.read_bytes() + to_pem(root.certificate), replace=True)


def sign_with(folder: Path, root: CertificateAuthority, *others: bytes) -> None:
    write_file(folder / "root-key.pem", root.key_pem, PRIVATE, replace=True)
    write_file(folder / "root-cert.pem", to_pem(root.certificate) + b"".join(others), replace=True)


def test_a_fresh_folder_signs(tmp_path: Path) -> None:
    authority = opened(tmp_path / "ca")
    leaf = authority.issue(CART, HOUR)
    assert names_of(leaf.certificate) == (f"URI:{CART}",)
    assert authority.roots_pem == authority.roots_file.read_bytes() == leaf.roots_pem


def test_our_own_certificate_names_hosts(tmp_path: Path) -> None:
    leaf = opened(tmp_path).issue_server(["istiod.istio-system.svc", "localhost", "127.0.0.1", "::1"], HOUR)
    assert names_of(leaf.certificate) == ("DNS:istiod.istio-system.svc", "DNS:localhost", "IP:127.0.0.1", "IP:::1")


def test_nothing_changes_while_the_folder_does_not(tmp_path: Path) -> None:
    authority = opened(tmp_path)
    assert not authority.refresh()


def test_a_root_changes_in_three_steps_and_is_always_believed(tmp_path: Path) -> None:
    authority = opened(tmp_path)
    old, new = authority.signer, another_root()
    before = authority.issue(CART, HOUR)

    append_root(tmp_path, new)
    assert authority.refresh()
    assert certificates_of(authority.roots_pem) == [old.certificate, new.certificate]
    assert authority.signer.certificate == old.certificate

    sign_with(tmp_path, new, to_pem(old.certificate))
    assert authority.refresh()
    after = authority.issue(CART, HOUR)
    roots = certificates_of(authority.roots_pem)
    assert chain_problem([before.certificate], roots) is None
    assert chain_problem([after.certificate], roots) is None
    assert roots == [new.certificate, old.certificate]

    sign_with(tmp_path, new)
    assert authority.refresh()
    assert certificates_of(authority.roots_pem) == [new.certificate]


def test_roots_that_have_expired_are_not_handed_out(tmp_path: Path) -> None:
    authority = opened(tmp_path)
    append_root(tmp_path, another_root(HOUR, NOW - 5 * HOUR))
    assert not authority.refresh()
    assert certificates_of(authority.roots_pem) == [authority.signer.certificate]


def test_half_a_change_is_reported_and_the_old_authority_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = opened(tmp_path)
    old, new = authority.signer, another_root()
    write_file(tmp_path / "root-cert.pem", to_pem(new.certificate), replace=True)  # and its key not yet
    assert not authority.refresh()
    assert "is not the key of root-cert.pem" in caplog.text
    assert authority.signer is old
    write_file(tmp_path / "root-key.pem", new.key_pem, PRIVATE, replace=True)
    assert authority.refresh()
    assert authority.signer.certificate == new.certificate


def test_an_intermediate_signs_below_the_root(tmp_path: Path) -> None:
    authority = opened(tmp_path, intermediate=True)
    leaf = authority.issue(CART, HOUR)
    chain = certificates_of(leaf.chain_pem)
    assert len(chain) == 2
    assert chain_problem(chain, certificates_of(authority.roots_pem)) is None


def test_a_folder_that_cannot_be_used_is_no_authority(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "root-key.pem").unlink()
    with pytest.raises(CaError, match="bring it back"):
        opened(tmp_path)
