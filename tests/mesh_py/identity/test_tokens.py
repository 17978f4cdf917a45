"""Tokens: minted, checked, and every kind that is refused. PyJWT forges what our own code would not make."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.identity.key_files import is_private
from mesh_py.identity.signing import key_to_pem
from mesh_py.identity.tokens import KEY_FILE, LONGEST_TOKEN, Caller, TokenError, TokenKey, bearer

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0
KEY = ec.generate_private_key(ec.SECP256R1())
TOKENS = TokenKey(KEY)
ZTUNNEL = Caller("istio-system", "ztunnel", "ztunnel-x", "uid-1", "node-a")
CLAIMS: dict[str, Any] = {
    "aud": ["istio-ca"],
    "iss": "istiod-py",
    "exp": NOW + 60,
    "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "cart"}},
}


def forged(key: Any = KEY, algorithm: str = "ES256", **claims: Any) -> str:
    """A token with these claims instead of good ones (`kubernetes` for `kubernetes.io`); None leaves one out."""
    named = {"kubernetes.io" if name == "kubernetes" else name: value for name, value in claims.items()}
    told = {name: value for name, value in (CLAIMS | named).items() if value is not None}
    return jwt.encode(told, key, algorithm=algorithm)


@pytest.mark.parametrize(
    "caller",
    [
        pytest.param(ZTUNNEL, id="a node proxy"),
        pytest.param(Caller("shop", "cart"), id="no pod, no node"),
        pytest.param(Caller("shop", "cart", node="node-a"), id="a node alone"),
    ],
)
def test_what_is_minted_is_believed(caller: Caller) -> None:
    assert TOKENS.check(TOKENS.mint(caller, NOW), NOW + 3600) == caller


def test_a_token_says_what_kubernetes_would() -> None:
    claims = jwt.decode(TOKENS.mint(ZTUNNEL, NOW, 600), options={"verify_signature": False})
    assert claims["sub"] == "system:serviceaccount:istio-system:ztunnel"
    assert claims["aud"] == ["istio-ca"]
    assert claims["exp"] - claims["iat"] == 600
    assert claims["kubernetes.io"] == {
        "namespace": "istio-system",
        "serviceaccount": {"name": "ztunnel"},
        "pod": {"name": "ztunnel-x", "uid": "uid-1"},
        "node": {"name": "node-a"},
    }


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param("", "malformed", id="empty"),
        pytest.param("a.b.c", "malformed", id="no JWT"),
        pytest.param("x" * (LONGEST_TOKEN + 1), "malformed", id="endless"),
        pytest.param(forged(ec.generate_private_key(ec.SECP256R1())), "foreign", id="another key"),
        pytest.param(forged(None, "none"), "malformed", id="no signature"),
        pytest.param(forged("secret" * 8, "HS256"), "malformed", id="a shared secret"),
        pytest.param(forged(rsa.generate_private_key(65537, 2048), "RS256"), "malformed", id="another algorithm"),
        pytest.param(forged(aud=["vault"]), "audience", id="for somebody else"),
        pytest.param(forged(aud=None), "malformed", id="for nobody"),
        pytest.param(forged(iss="kubernetes"), "malformed", id="another issuer"),
        pytest.param(forged(exp=NOW - 60), "expired", id="expired"),
        pytest.param(forged(exp=None), "malformed", id="without an end"),
        pytest.param(forged(nbf=NOW + 60), "early", id="not yet"),
        pytest.param(forged(kubernetes=None), "malformed", id="of nobody"),
        pytest.param(forged(kubernetes={"namespace": "shop"}), "malformed", id="without an account"),
        pytest.param(forged(kubernetes="shop"), "malformed", id="claims of another shape"),
        pytest.param(forged(kubernetes={"namespace": "", "serviceaccount": {"name": "x"}}), "malformed", id="empty"),
    ],
)
def test_what_is_refused(token: str, reason: str) -> None:
    with pytest.raises(TokenError) as refused:
        TOKENS.check(token, NOW)
    assert refused.value.reason == reason


def test_the_public_key_is_no_shared_secret() -> None:
    """The classic confusion: HS256 over the text of our public key, which anybody may know."""
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT"}').decode()
    body = forged().split(".")[1]
    with pytest.raises(TokenError):
        TOKENS.check(f"{header}.{body}.AAAA", NOW)


def test_clocks_may_differ_a_little() -> None:
    assert TOKENS.check(forged(exp=NOW - 1), NOW).account == "shop/cart"
    assert TOKENS.check(forged(nbf=NOW + 1), NOW).account == "shop/cart"


def test_other_audiences_where_they_are_configured() -> None:
    tokens = TokenKey(KEY, ("mesh", "istio-ca"))
    assert tokens.check(forged(aud="istio-ca"), NOW) == Caller("shop", "cart")
    assert jwt.decode(tokens.mint(ZTUNNEL, NOW), options={"verify_signature": False})["aud"] == ["mesh"]


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    first = TokenKey.open(tmp_path / "state")
    assert is_private(tmp_path / "state" / KEY_FILE)
    assert TokenKey.open(tmp_path / "state").check(first.mint(ZTUNNEL, NOW), NOW) == ZTUNNEL


def test_a_key_open_to_others_is_not_used(tmp_path: Path) -> None:
    TokenKey.open(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(TokenError, match="open to others"):
        TokenKey.open(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"nothing", id="no PEM"),
        pytest.param(key_to_pem(ec.generate_private_key(ec.SECP384R1())), id="another curve"),
    ],
)
def test_a_file_that_is_no_key_of_ours_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(TokenError, match=KEY_FILE):
        TokenKey.open(tmp_path)


@pytest.mark.parametrize("header", ["Bearer abc", "bearer  abc ", " BEARER abc"])
def test_the_token_of_a_header(header: str) -> None:
    assert bearer(header) == "abc"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_a_header_without_a_token(header: str | None) -> None:
    with pytest.raises(TokenError) as refused:
        bearer(header)
    assert refused.value.reason == "missing"


@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode("latin-1"))))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(TokenError):
        TOKENS.check(text, NOW)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("[" * 4000, id="nested too deeply"),
        pytest.param('{"alg":["ES256"]}', id="a list of algorithms"),
        pytest.param('{"alg":"ES256","crit":["x"],"x":1}', id="an extension that must be known"),
        pytest.param('{"alg":"ES256","kid":{}}', id="a key id that is no text"),
        pytest.param('{"alg":"ES256","b64":false}', id="a detached payload"),
        pytest.param("\ufffe", id="no JSON"),
    ],
)
def test_headers_that_are_meant_to_hurt(header: str) -> None:
    head = jwt.utils.base64url_encode(header.encode()).decode()
    _, body, signature = forged().split(".")
    with pytest.raises(TokenError) as refused:
        TOKENS.check(f"{head}.{body}.{signature}", NOW)
    assert refused.value.reason in ("malformed", "foreign")


NAMES = st.sampled_from(("namespace", "serviceaccount", "pod", "node", "name", "uid")) | st.text(max_size=3)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


@given(SHAPES)
def test_claims_of_any_shape_name_nobody_or_somebody(claims: Any) -> None:
    with contextlib.suppress(TokenError):
        caller = TOKENS.check(forged(kubernetes=claims), NOW)
        assert caller.namespace
        assert caller.service_account
