"""Revocation lists: whose count, what a file may hold, and how it is followed. The command-line OpenSSL agrees."""

from __future__ import annotations

import asyncio
import datetime
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mesh_py.identity import revocation
from mesh_py.identity.revocation import CrlError, RevocationFile, Revocations
from tests.support.certificates import CertificateFiles, TestRoot
from tests.support.require import require_tool

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> TestRoot:
    return TestRoot(tmp_path_factory.mktemp("authority") / "mesh")


@pytest.fixture(scope="module")
def leaves(root: TestRoot) -> tuple[CertificateFiles, CertificateFiles]:
    """One that is revoked, one that is not."""
    return root.issue("bad", "default/bad"), root.issue("good", "default/good")


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def is_revoked(lists: Revocations, files: CertificateFiles) -> bool:
    return lists.revoked([certificate(files.chain)], [certificate(files.roots)]) is not None


def test_who_is_on_the_list_and_who_is_not(root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles]) -> None:
    bad, good = leaves
    lists = Revocations.parse(root.revoke(bad))
    assert (is_revoked(lists, bad), is_revoked(lists, good)) == (True, False)


def test_openssl_agrees(root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles], tmp_path: Path) -> None:
    crl = tmp_path / "crl.pem"
    crl.write_bytes(root.revoke(leaves[0]))
    for files, status in zip(leaves, (2, 0), strict=True):
        command = [require_tool("openssl"), "verify", "-CAfile", str(files.roots), "-crl_check", "-CRLfile", str(crl)]
        outcome = subprocess.run([*command, str(files.chain)], capture_output=True, text=True, check=False)
        assert (outcome.returncode, "certificate revoked" in outcome.stderr) == (status, status == 2)


def test_a_list_remembers_who_has_signed_it(
    root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles], tmp_path: Path
) -> None:
    """And nobody else of that name: a signature over a list of megabytes is not checked for each who comes."""
    bad, impostor = leaves[0], TestRoot(tmp_path / "mesh")
    lists = Revocations.parse(root.revoke(bad))
    theirs = [certificate(impostor.issue("good", "default/good").roots)]
    for roots, revoked in (([certificate(bad.roots)], True), (theirs, False), ([certificate(bad.roots)], True)):
        assert (lists.revoked([certificate(bad.chain)], roots) is not None) == revoked


@pytest.mark.parametrize("until", [datetime.timedelta(days=1), datetime.timedelta(days=-1)], ids=["valid", "expired"])
def test_a_list_out_of_date_still_counts(
    root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles], until: datetime.timedelta
) -> None:
    assert is_revoked(Revocations.parse(root.revoke(leaves[0], until=until)), leaves[0])


def test_only_the_issuers_own_key_signs_a_list(
    leaves: tuple[CertificateFiles, CertificateFiles], tmp_path: Path
) -> None:
    """An authority of the same name is another authority."""
    impostor = TestRoot(tmp_path / "mesh")
    assert not is_revoked(Revocations.parse(impostor.revoke(leaves[0])), leaves[0])


def test_a_revoked_intermediate_takes_its_leaves_along(root: TestRoot, tmp_path: Path) -> None:
    other = TestRoot(tmp_path / "other")
    leaf = other.issue("leaf", "default/leaf")
    stand_in = root.issue("between", "default/between")  # what stands for an intermediate: the chain is verified before
    lists = Revocations.parse(root.revoke(stand_in))
    chain = [certificate(leaf.chain), certificate(stand_in.chain)]
    assert lists.revoked(chain, [certificate(root.roots)]) == chain[1]


def test_what_a_file_may_hold(root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles]) -> None:
    bad, _ = leaves
    pem = root.revoke(bad)
    der = x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER)
    between = bad.chain.read_bytes()
    for data, count in ((b"", 0), (b"\n", 0), (pem, 1), (der, 1), (between + pem + between + pem, 2), (between, 0)):
        lists = Revocations.parse(data)
        assert len(lists) == count
        assert is_revoked(lists, bad) is (count > 0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"nonsense", id="nonsense"),
        pytest.param(b"-----BEGIN X509 CRL-----\nnonsense\n-----END X509 CRL-----\n", id="PEM around nonsense"),
    ],
)
def test_what_it_may_not(data: bytes) -> None:
    with pytest.raises(CrlError, match="no revocation list that can be read"):
        Revocations.parse(data)


class Followed:
    """A file, and how often it changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = RevocationFile(path)

    def write(self, data: bytes) -> list[bool]:
        """Replace it; what the next looks say."""
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(data)
        fresh.rename(self.path)
        return [self.file.refresh() for _ in range(3)]


def test_a_file_that_comes_later_is_read_then(
    root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    followed = Followed(tmp_path / "crl.pem")
    followed.file.load()
    assert "not there yet" in caplog.text
    assert not followed.file.refresh()
    assert followed.write(root.revoke(leaves[0])) == [False, True, False]
    assert is_revoked(followed.file.now, leaves[0])


def test_a_broken_file_changes_nothing(
    root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    followed = Followed(tmp_path / "crl.pem")
    followed.write(root.revoke(leaves[0]))
    assert followed.write(b"nonsense") == [False] * 3
    assert "what was revoked stays so" in caplog.text
    assert is_revoked(followed.file.now, leaves[0])
    assert followed.write(b"") == [False, True, False]
    assert not is_revoked(followed.file.now, leaves[0])


def test_a_file_that_is_removed_changes_nothing(
    root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles], tmp_path: Path
) -> None:
    followed = Followed(tmp_path / "crl.pem")
    followed.write(root.revoke(leaves[0]))
    followed.path.unlink()
    assert not followed.file.refresh()
    assert is_revoked(followed.file.now, leaves[0])


def test_whatever_is_broken_in_a_list_is_told_as_that(
    root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles]
) -> None:
    der = x509.load_pem_x509_crl(root.revoke(leaves[0])).public_bytes(Encoding.DER)
    version = b"\x02\x01\x01\x30"
    assert version in der
    with pytest.raises(CrlError, match="no revocation list that can be read: 118 is not a valid CRL version"):
        Revocations.parse(der.replace(version, b"\x02\x01\x76\x30", 1))


def test_a_broken_file_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "crl.pem"
    path.write_bytes(b"nonsense")
    with pytest.raises(CrlError, match=f"^{path}: no revocation list that can be read"):
        RevocationFile(path).load()


async def test_whoever_follows_is_told(
    root: TestRoot, leaves: tuple[CertificateFiles, CertificateFiles], tmp_path: Path
) -> None:
    path, told, slept = tmp_path / "crl.pem", asyncio.Event(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            path.write_bytes(root.revoke(leaves[0]))
        await asyncio.sleep(0)

    file = RevocationFile(path)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(file.watch(told.set, sleep))
        await told.wait()
        watching.cancel()
    assert set(slept) == {revocation.POLL_SECONDS}


async def test_a_long_list_is_read_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, told, readers = RevocationFile(tmp_path / "crl.pem"), asyncio.Event(), list[threading.Thread]()

    def refresh() -> bool:
        readers.append(threading.current_thread())
        return True

    monkeypatch.setattr(file, "refresh", refresh)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(file.watch(told.set, lambda _: asyncio.sleep(0)))
        await told.wait()
        watching.cancel()
    assert threading.main_thread() not in readers
