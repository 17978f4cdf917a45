"""Tokens that are believed, and those that are not."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.errors import BadToken
from mesh_py.http.jwt_auth import (
    MOST_TOKENS,
    BadKeySet,
    Issuer,
    authenticate,
    check_token,
    find_tokens,
    read_keys,
    refusal,
)
from mesh_py.manifests.security import ClaimHeader, JwtRule, TokenHeader
from tests.mesh_py.http.routes import request

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest

NOW = 1_800_000_000.0
RSA, OTHER_RSA = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
EC, ED = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
P384 = ec.generate_private_key(ec.SECP384R1())
SECRET = b"0123456789abcdef0123456789abcdef"


def jwk(algorithm: str, key: Any, **more: str) -> dict[str, Any]:
    public = key if isinstance(key, bytes) else key.public_key()
    entry: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    return {**entry, **more}


JWKS = json.dumps(
    {
        "keys": [
            jwk("RS256", RSA, kid="rsa"),
            jwk("ES256", EC, kid="ec"),
            jwk("ES384", P384, kid="p384"),
            jwk("EdDSA", ED),
            jwk("HS256", SECRET, kid="secret"),
            jwk("RS256", OTHER_RSA, kid="encryption", use="enc"),
            {"kty": "unknown"},
            {"kty": "RSA", "n": "?", "e": "?"},
        ]
    }
)
KEYS = read_keys(JWKS)
CLAIMS = {"iss": "me", "sub": "jo", "exp": NOW + 100}
RULE = JwtRule("me")


def token(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "rsa", **claims: Any) -> str:
    merged = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode(merged, key, algorithm, headers={"kid": kid} if kid else None)


def bearer(text: str) -> HttpRequest:
    return request(authorization=f"Bearer {text}")


def test_keys_that_cannot_check_signatures_are_passed_over() -> None:
    assert [key.key_id for key in KEYS] == ["rsa", "ec", "p384", "", "secret"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "x"}, 3]}', '{"keys": 3}'])
def test_what_is_no_key_set(text: str) -> None:
    with pytest.raises(BadKeySet):
        read_keys(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(token(), id="RSA"),
        pytest.param(token(EC, "ES256", "ec"), id="elliptic curve"),
        pytest.param(token(P384, "ES384", "p384"), id="a longer curve"),
        pytest.param(token(ED, "EdDSA", None), id="Ed25519 without an id"),
        pytest.param(token(SECRET, "HS256", "secret"), id="a shared secret that is in the set"),
        pytest.param(token(RSA, "PS256"), id="another algorithm of the key"),
        pytest.param(token(kid=None), id="no id: any key"),
        pytest.param(token(exp=None), id="no end"),
        pytest.param(token(exp=NOW - 59), id="within the clocks' difference"),
        pytest.param(token(nbf=NOW + 59), id="not quite begun"),
        pytest.param(token(exp=10**400, nbf=-(10**400)), id="times larger than any float"),
    ],
)
def test_tokens_that_are_believed(text: str) -> None:
    assert authenticate(bearer(text), [Issuer(RULE, KEYS)], NOW)["sub"] == "jo"


def altered(text: str, part: int, **changes: Any) -> str:
    parts = text.split(".")
    value = json.loads(base64.urlsafe_b64decode(parts[part] + "=="))
    parts[part] = base64.urlsafe_b64encode(json.dumps({**value, **changes}).encode()).decode().rstrip("=")
    return ".".join(parts)


def hmac_with_public_key() -> str:
    """The old trick: the public key as a secret."""
    pem = KEYS[0].value.public_bytes(*_pem())
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa","typ":"JWT"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(CLAIMS).encode()).rstrip(b"=")
    signature = jwt.get_algorithm_by_name("HS256").sign(head + b"." + body, pem)
    return (head + b"." + body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def _pem() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Encoding.PEM, PublicFormat.SubjectPublicKeyInfo


GOOD_HEAD = token().split(".")[0]
NO_SIGNATURE = ".".join([*jwt.encode(CLAIMS, "", "none").split(".")[:2], ""])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "form", id="empty"),
        pytest.param("a.b", "form", id="two parts"),
        pytest.param("a.b.c.d", "form", id="four parts"),
        pytest.param("x" * 20_000 + ".a.b", "form", id="too long"),
        pytest.param("!.!.!", "form", id="no base64"),
        pytest.param("e30.W10.e30", "no JSON object", id="no object"),
        pytest.param(token(exp=NOW - 61), "expired", id="expired"),
        pytest.param(token(nbf=NOW + 61), "not yet valid", id="not begun"),
        pytest.param(altered(token(), 1, exp=-(10**400)), "expired", id="an end before all times"),
        pytest.param(altered(token(), 1, exp="never"), "no number", id="an end that is no number"),
        pytest.param(token(iss="other"), "issuer", id="another issuer"),
        pytest.param(token(iss=None), "issuer", id="no issuer"),
        pytest.param(token(OTHER_RSA), "verification fails", id="another key"),
        pytest.param(altered(token(), 1, sub="root"), "verification fails", id="changed behind the signature"),
        pytest.param(token(kid="unknown"), "no key", id="an unknown key"),
        pytest.param(token(OTHER_RSA, kid="encryption"), "no key", id="a key for encryption"),
        pytest.param(NO_SIGNATURE, "form", id="unsigned"),
        pytest.param(altered(token(), 0, alg="none"), "no key", id="made unsigned"),
        pytest.param(altered(token(), 0, alg=["RS256"]), "Jwt", id="an algorithm that is a list"),
        pytest.param(hmac_with_public_key(), "no key", id="the public key as a secret"),
    ],
)
def test_tokens_that_are_not(text: str, words: str) -> None:
    with pytest.raises(BadToken, match=words) as refused:
        check_token(text, Issuer(RULE, KEYS), NOW)
    assert refused.value.answer == 401


def test_without_keys_nothing_is_believed() -> None:
    with pytest.raises(BadToken):
        authenticate(bearer(token()), [Issuer(RULE, ())], NOW)


@pytest.mark.parametrize(
    ("audience", "allowed"), [("a", True), (["x", "b"], True), ("x", False), (None, False), ([], False), (7, False)]
)
def test_audiences(audience: Any, allowed: bool) -> None:
    issuer = Issuer(JwtRule("me", ("a", "b")), KEYS)
    text = altered(token(aud="z"), 1, aud=audience)
    expected = "verification fails" if allowed else "Audiences"
    with pytest.raises(BadToken, match=expected):
        check_token(text, issuer, NOW)
    if isinstance(audience, str) and allowed:
        assert check_token(token(aud=audience), issuer, NOW)["aud"] == audience


def test_no_token_is_no_failure() -> None:
    assert authenticate(request(), [Issuer(RULE, KEYS)], NOW) == {}
    assert authenticate(request(authorization="Basic x"), [Issuer(RULE, KEYS)], NOW) == {}


def test_any_of_several_issuers_will_do() -> None:
    issuers = [Issuer(JwtRule("other"), KEYS), Issuer(RULE, KEYS)]
    assert authenticate(bearer(token()), issuers, NOW)["iss"] == "me"
    with pytest.raises(BadToken, match="expired"):
        authenticate(bearer(token(exp=1)), issuers, NOW)


@pytest.mark.parametrize(
    ("rule", "asked", "expected"),
    [
        pytest.param(RULE, request(authorization="Bearer a"), ["a"], id="bearer"),
        pytest.param(RULE, request("/?access_token=b"), ["b"], id="parameter"),
        pytest.param(RULE, request(authorization="Basic a"), [], id="another scheme"),
        pytest.param(
            JwtRule("me", from_headers=(TokenHeader("X-Jwt", "JWT "),)), request(x_jwt="JWT c"), ["c"], id="a header"
        ),
        pytest.param(JwtRule("me", from_params=("t",)), request("/?t=d&access_token=e"), ["d"], id="another parameter"),
        pytest.param(JwtRule("me", from_cookies=("t",)), request(cookie="t=f"), ["f"], id="a cookie"),
    ],
)
def test_where_tokens_are_looked_for(rule: JwtRule, asked: HttpRequest, expected: list[str]) -> None:
    assert list(find_tokens(asked, rule)) == expected


def test_the_application_is_told_and_nobody_else_tells_it() -> None:
    rule = JwtRule(
        "me",
        output_payload_to_header="X-Payload",
        output_claim_to_headers=(
            ClaimHeader("X-Sub", "sub"),
            ClaimHeader("X-Role", "a.role"),
            ClaimHeader("X-No", "no"),
        ),
    )
    text = token(a={"role": True})
    asked = request(authorization=f"Bearer {text}", x_sub="root", x_no="forged", x_payload="forged")
    asked.headers.add("x_sub", "what CGI reads as x-sub")
    authenticate(asked, [Issuer(rule, KEYS)], NOW)
    assert asked.headers.fields == [("x-payload", text.split(".")[1]), ("x-sub", "jo"), ("x-role", "true")]


def test_no_request_has_us_check_hundreds_of_signatures() -> None:
    asked = request("/?" + "&".join(["access_token=" + token(OTHER_RSA)] * (MOST_TOKENS + 1)))
    with pytest.raises(BadToken, match=f"more than {MOST_TOKENS}"):
        authenticate(asked, [Issuer(RULE, KEYS)], NOW)


def test_critical_extensions_are_not_passed_over() -> None:
    text = jwt.encode(CLAIMS, RSA, "RS256", headers={"kid": "rsa", "crit": ["exp-by-me"], "exp-by-me": 1})
    with pytest.raises(BadToken):
        check_token(text, Issuer(RULE, KEYS), NOW)


def test_the_token_may_go_on() -> None:
    asked = bearer(token())
    authenticate(asked, [Issuer(JwtRule("me", forward_original_token=True), KEYS)], NOW)
    assert "authorization" in asked.headers


def test_a_claim_cannot_break_a_header() -> None:
    rule = JwtRule("me", output_claim_to_headers=(ClaimHeader("x-sub", "sub"),))
    asked = bearer(token(sub="a\r\nX-Admin: 1"))
    authenticate(asked, [Issuer(rule, KEYS)], NOW)
    assert "\n" not in (asked.headers.get("x-sub") or "\n")


def test_half_a_character_in_a_claim_is_told_as_a_question_mark() -> None:
    rule = JwtRule("me", output_claim_to_headers=(ClaimHeader("x-sub", "sub"),))
    asked = bearer(token(sub="jo \ud800"))
    authenticate(asked, [Issuer(rule, KEYS)], NOW)
    assert base64.b64decode(asked.headers.get("x-sub") or "") == b"jo ?"


def test_the_challenge() -> None:
    response = refusal(BadToken("x"), request('/a"b', host="web"))
    assert response.status == 401
    assert response.headers.get("www-authenticate") == 'Bearer realm="http://web/a%22b", error="invalid_token"'


@given(parts=st.lists(st.text(max_size=30), min_size=3, max_size=3), body=st.text(max_size=60))
def test_no_text_crashes_it(parts: list[str], body: str) -> None:
    encoded = base64.urlsafe_b64encode(body.encode("utf-8", "replace")).decode()
    for text in (".".join(parts), f"{GOOD_HEAD}.{encoded}.x", f"{encoded}.{encoded}.x"):
        with pytest.raises(BadToken):
            check_token(text, Issuer(RULE, KEYS), NOW)
