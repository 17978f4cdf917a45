"""The keys of tokens in a state folder: the one that signs, and the one before it, which is still believed.

`token-key.pem` (0600) signs; `token-key-before.pem` is the public half of its predecessor, so that a change of keys
turns nobody away: a token of the former key holds until it ends, or until the next change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mesh_py.identity.key_files import PRIVATE, is_private, locked, write_file
from mesh_py.identity.signing import key_to_pem
from mesh_py.process.file_stamp import stamp_of

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

KEY_FILE, BEFORE_FILE = "token-key.pem", "token-key-before.pem"


class TokenError(Exception):
    """A token that is refused, or a key that cannot be used. `reason` is short and fit for a metric label."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Keys(NamedTuple):
    """What a folder has."""

    signs: ec.EllipticCurvePrivateKey
    believed: tuple[ec.EllipticCurvePublicKey, ...]
    """The public half of `signs` first."""


def open_keys(folder: Path) -> Keys:
    """The folder's keys; the first is made at the first opening. Raises TokenError, OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder):
        return _read(folder)


def change_keys(folder: Path) -> None:
    """Sign with a new key from now on; the present one is believed, its predecessor no more. As `open_keys`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder):
        present = _read(folder).believed[0]
        former = present.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        write_file(folder / BEFORE_FILE, former, replace=True)  # first, so that its tokens always hold
        write_file(folder / KEY_FILE, _new_key(), PRIVATE, replace=True)


def _read(folder: Path) -> Keys:
    path, before = folder / KEY_FILE, folder / BEFORE_FILE
    if not path.exists():
        write_file(path, _new_key(), PRIVATE)
    signs = _read_key(path)
    former = (_read_public(before),) if before.exists() else ()
    return Keys(signs, (signs.public_key(), *former))


def stamp_of_keys(folder: Path) -> Hashable:
    """Another value once a key has changed."""
    return tuple(stamp_of(folder / name) for name in (KEY_FILE, BEFORE_FILE))


def _new_key() -> bytes:
    return key_to_pem(ec.generate_private_key(ec.SECP256R1()))


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not is_private(path):
        raise TokenError("key", f"{path} is open to others; if it has stayed secret: chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except Exception as error:  # the library raises many kinds, and all mean: not usable
        raise TokenError("key", f"{path} cannot be used: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TokenError("key", f"{path} is no P-256 key: remove it, and mint all tokens anew")
    return key


def _read_public(path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except Exception as error:
        text = f"{path} cannot be used: {error}; remove it to believe in the present key alone"
        raise TokenError("key", text) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TokenError("key", f"{path} is no P-256 key: remove it to believe in the present key alone")
    return key
