"""Where the certificate of an identity lies below WORKLOAD_CERT_DIR: ``<namespace>/<service account>/``, three files.

One place knows the names, for those who write them and those who read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.identity.key_files import PRIVATE, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from hbone_py.identity import SpiffeId
    from mesh_py.identity.signing import Leaf

CERT_CHAIN = "cert-chain.pem"
KEY = "key.pem"
ROOT_CERT = "root-cert.pem"


def identity_folder(base: Path, spiffe_id: SpiffeId) -> Path:
    """The folder of one identity; the trust domain is not part of it."""
    return base / spiffe_id.namespace / spiffe_id.service_account


def write_leaf(folder: Path, leaf: Leaf, *, replace: bool = False) -> None:
    """Write the three files, the chain last: whoever sees the chain finds its key.

    Three files cannot change in one step. A reader that meets a new key beside an old chain reads again.

    :raises FileExistsError: one is there already and ``replace`` is false.
    :raises ValueError: the leaf has no key of its own.
    """
    if leaf.key_pem is None:
        raise ValueError("a leaf without its key cannot be written")
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / KEY, leaf.key_pem, PRIVATE, replace=replace)
    write_file(folder / ROOT_CERT, leaf.roots_pem, replace=replace)
    write_file(folder / CERT_CHAIN, leaf.chain_pem, replace=replace)
