"""An authority in a folder: made once, shared, and refused when something is wrong with it."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import pytest

from hbone_py.identity import SpiffeId
from mesh_py.identity.certificate_facts import certificates_of, chain_problem
from mesh_py.identity.key_files import is_private
from mesh_py.identity.local_ca import LocalCa, user_folder
from mesh_py.identity.signing import CaError

NOW = datetime.datetime.now(datetime.UTC)
SLEEP = SpiffeId("cluster.local", "default", "sleep")


def test_a_second_opening_finds_the_same_authority(tmp_path: Path) -> None:
    first, second = LocalCa.open(tmp_path / "ca", NOW), LocalCa.open(tmp_path / "ca", NOW)
    assert first.roots_pem == second.roots_pem
    assert chain_problem(certificates_of(second.issue(SLEEP, NOW).chain_pem), [first.authority.root]) is None


def test_the_folder_and_the_keys_are_private(tmp_path: Path) -> None:
    LocalCa.open(tmp_path / "ca", NOW, intermediate=True)
    assert is_private(tmp_path / "ca")
    assert is_private(tmp_path / "ca" / "root-key.pem")
    assert is_private(tmp_path / "ca" / "ca-key.pem")


def test_an_intermediate_once_made_is_always_used(tmp_path: Path) -> None:
    root = LocalCa.open(tmp_path, NOW).authority
    below = LocalCa.open(tmp_path, NOW, intermediate=True).authority
    again = LocalCa.open(tmp_path, NOW).authority
    assert below.above == (root.certificate,)
    assert again.certificate == below.certificate


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    script = (
        "import datetime, pathlib, sys; from mesh_py.identity.local_ca import LocalCa;"
        "ca = LocalCa.open(pathlib.Path(sys.argv[1]), datetime.datetime.now(datetime.UTC), intermediate=True);"
        "sys.stdout.write(ca.authority.certificate.serial_number.__str__())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "ca")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    serials = {process.communicate(timeout=30)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(serials) == 1


def test_a_throw_away_authority_signs_without_a_folder() -> None:
    ca = LocalCa.throw_away(NOW)
    leaf = ca.issue(SLEEP, NOW, datetime.timedelta(minutes=1))
    assert chain_problem([leaf.certificate], [ca.authority.root]) is None
    assert leaf.certificate.not_valid_after_utc - NOW <= datetime.timedelta(minutes=1)


def remove_key(folder: Path) -> None:
    (folder / "root-key.pem").unlink()


def remove_certificate(folder: Path) -> None:
    (folder / "root-cert.pem").unlink()


def open_the_key(folder: Path) -> None:
    (folder / "root-key.pem").chmod(0o644)


def spoil_certificate(folder: Path) -> None:
    (folder / "root-cert.pem").write_text("nothing of use")


def swap_key(folder: Path) -> None:
    LocalCa.open(folder / "other", NOW)
    (folder / "other" / "root-key.pem").replace(folder / "root-key.pem")


def foreign_intermediate(folder: Path) -> None:
    LocalCa.open(folder / "other", NOW, intermediate=True)
    for name in ("ca-cert.pem", "ca-key.pem"):
        (folder / "other" / name).replace(folder / name)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        pytest.param(remove_key, "root-cert.pem is there, root-key.pem is not", id="no key"),
        pytest.param(remove_certificate, "root-key.pem is there, root-cert.pem is not", id="no certificate"),
        pytest.param(open_the_key, "is open to others", id="key readable by others"),
        pytest.param(spoil_certificate, "cannot be used", id="not a certificate"),
        pytest.param(swap_key, "is not the key of", id="another key"),
        pytest.param(foreign_intermediate, "cannot be used", id="an intermediate of another root"),
    ],
)
def test_what_is_wrong_is_said(spoil, complaint: str, tmp_path: Path) -> None:
    LocalCa.open(tmp_path, NOW)
    spoil(tmp_path)
    with pytest.raises(CaError, match=complaint):
        LocalCa.open(tmp_path, NOW)


@pytest.mark.parametrize("intermediate", [True, False], ids=["an intermediate", "a root alone"])
def test_an_expired_authority_is_refused(intermediate: bool, tmp_path: Path) -> None:
    LocalCa.open(tmp_path, NOW - datetime.timedelta(days=4000), intermediate=intermediate)
    with pytest.raises(CaError, match="expired on"):
        LocalCa.open(tmp_path, NOW, intermediate=intermediate)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        pytest.param({"XDG_STATE_HOME": "/state"}, Path("/state/hbone-mesh/ca"), id="as the variable says"),
        pytest.param({}, Path.home() / ".local/state/hbone-mesh/ca", id="the default"),
        pytest.param({"XDG_STATE_HOME": ""}, Path.home() / ".local/state/hbone-mesh/ca", id="empty"),
        pytest.param({"XDG_STATE_HOME": "x"}, Path.home() / ".local/state/hbone-mesh/ca", id="not absolute"),
    ],
)
def test_the_users_folder(environ: dict[str, str], folder: Path) -> None:
    assert user_folder(environ) == folder
