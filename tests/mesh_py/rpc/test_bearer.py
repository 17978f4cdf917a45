"""Tokens, from a file that changes or from the setting itself."""

from __future__ import annotations

import pytest

from mesh_py.rpc.bearer import BearerToken
from mesh_py.rpc.errors import TokenError

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJpc3Rpby1jYSJ9." + "c" * 300


def test_a_file_is_read_each_time(tmp_path):
    file = tmp_path / "istio-token"
    file.write_text(f"{JWT}\r\n \n")
    token = BearerToken.of(str(file))
    assert token.read() == JWT
    file.write_text("next")
    assert token.read() == "next"


def test_anything_else_is_the_token_itself():
    assert BearerToken.of(JWT) == BearerToken(literal=JWT)
    assert BearerToken.of(JWT).read() == JWT


@pytest.mark.parametrize("path", ["/var/run/no/such", "./no/such", "../no/such"])
def test_a_wrong_path_is_never_sent_as_a_token(path):
    with pytest.raises(TokenError, match="no token: No such file or directory: mount the token there"):
        BearerToken.of(path).read()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the token is empty"),
        (b" \n", "the token is empty"),
        (b"two words", "the token holds what a header cannot carry"),
        (b"two\nlines", "the token holds what a header cannot carry"),
        (b"caf\xc3\xa9", "the token is not ASCII"),
    ],
)
def test_what_is_no_token(tmp_path, content, problem):
    file = tmp_path / "istio-token"
    file.write_bytes(content)
    with pytest.raises(TokenError) as caught:
        BearerToken.of(str(file)).read()
    assert str(caught.value).startswith(f"{file}: {problem}")


def test_the_projected_token_is_taken_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert BearerToken.default() is None
    folder = tmp_path / "var/run/secrets/tokens"
    folder.mkdir(parents=True)
    (folder / "istio-token").write_text("projected")
    token = BearerToken.default()
    assert token is not None
    assert token.read() == "projected"
