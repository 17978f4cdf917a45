"""Keys of tokens: made once, changed without turning anybody away, and refused where they cannot be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mesh_py.identity.key_files import is_private
from mesh_py.identity.signing import key_to_pem
from mesh_py.identity.token_keys import BEFORE_FILE, KEY_FILE, change_keys, open_keys, stamp_of_keys
from mesh_py.identity.tokens import Caller, TokenError, TokenKey

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0
CART = Caller("shop", "cart")


def test_they_are_made_once(tmp_path: Path) -> None:
    first, again = open_keys(tmp_path / "state"), open_keys(tmp_path / "state")
    assert first.believed == again.believed
    assert len(first.believed) == 1
    assert is_private(tmp_path / "state" / KEY_FILE)


def test_a_change_turns_nobody_away(tmp_path: Path) -> None:
    """The server was opened before, and sees what the command did to its folder."""
    server = TokenKey.open(tmp_path)
    old = server.mint(CART, NOW)
    change_keys(tmp_path)
    new = TokenKey.open(tmp_path).mint(CART, NOW)
    for token in (old, new):
        assert server.check(token, NOW) == CART
    assert is_private(tmp_path / KEY_FILE)


def test_the_key_before_the_last_is_believed_no_more(tmp_path: Path) -> None:
    server = TokenKey.open(tmp_path)
    tokens = []
    for _ in range(3):
        tokens.append(server.mint(CART, NOW))
        change_keys(tmp_path)
    for token in tokens[:2]:
        with pytest.raises(TokenError, match="another key") as caught:
            server.check(token, NOW)
        assert caught.value.reason == "foreign"
    assert server.check(tokens[2], NOW) == CART


@pytest.mark.parametrize("file", [KEY_FILE, BEFORE_FILE])
def test_a_file_that_cannot_be_read_leaves_what_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str
) -> None:
    server = TokenKey.open(tmp_path)
    token = server.mint(CART, NOW)
    (tmp_path / file).write_text("nonsense")
    for _ in range(2):
        assert server.check(token, NOW) == CART
    assert sum("the keys of tokens stay as they were" in message for message in caplog.messages) == 1
    with pytest.raises(TokenError, match="cannot be used"):
        open_keys(tmp_path)


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(key_to_pem(ec.generate_private_key(ec.SECP384R1())))
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(TokenError, match="no P-256 key"):
        open_keys(tmp_path)


def test_a_stamp_tells_every_change(tmp_path: Path) -> None:
    stamps = [stamp_of_keys(tmp_path)]
    open_keys(tmp_path)
    stamps.append(stamp_of_keys(tmp_path))
    change_keys(tmp_path)
    stamps.append(stamp_of_keys(tmp_path))
    assert len(set(stamps)) == 3
