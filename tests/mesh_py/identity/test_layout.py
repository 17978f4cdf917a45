"""The three files of an identity."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hbone_py.identity import SpiffeId
from mesh_py.identity.key_files import is_private
from mesh_py.identity.layout import identity_folder, write_leaf
from mesh_py.identity.local_ca import LocalCa

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.datetime.now(datetime.UTC)
SLEEP = SpiffeId("cluster.local", "default", "sleep")


def test_a_leaf_becomes_three_files(tmp_path: Path) -> None:
    folder = identity_folder(tmp_path, SLEEP)
    leaf = LocalCa.throw_away(NOW).issue(SLEEP, NOW)
    write_leaf(folder, leaf)
    assert folder == tmp_path / "default" / "sleep"
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "cert-chain.pem": leaf.chain_pem,
        "key.pem": leaf.key_pem,
        "root-cert.pem": leaf.roots_pem,
    }
    assert is_private(folder / "key.pem")


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    ca = LocalCa.throw_away(NOW)
    first, second = ca.issue(SLEEP, NOW), ca.issue(SLEEP, NOW)
    write_leaf(tmp_path, first)
    with pytest.raises(FileExistsError):
        write_leaf(tmp_path, second)
    assert (tmp_path / "key.pem").read_bytes() == first.key_pem
    write_leaf(tmp_path, second, replace=True)
    assert (tmp_path / "cert-chain.pem").read_bytes() == second.chain_pem


def test_a_leaf_without_its_key_is_not_written(tmp_path: Path) -> None:
    public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    leaf = LocalCa.throw_away(NOW).issue(SLEEP, NOW, public_key=public_key)
    with pytest.raises(ValueError, match="without its key"):
        write_leaf(tmp_path / "f", leaf)
    assert not (tmp_path / "f").exists()
