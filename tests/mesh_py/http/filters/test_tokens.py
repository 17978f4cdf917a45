"""Tokens as a filter; which are believed is in test_jwt_auth."""

from __future__ import annotations

import json

import jwt

from mesh_py.http.filters.base import CONTINUE, Respond
from mesh_py.http.filters.tokens import Tokens
from mesh_py.http.jwt_auth import Issuer, read_keys
from mesh_py.http.messages import HttpResponse
from mesh_py.manifests.security import JwtRule
from tests.mesh_py.http.filters.streams import stream
from tests.mesh_py.http.routes import request

SECRET = b"0123456789abcdef0123456789abcdef"
KEYS = read_keys(json.dumps({"keys": [jwt.get_algorithm_by_name("HS256").to_jwk(SECRET, as_dict=True)]}))
TOKENS = Tokens([Issuer(JwtRule("me"), KEYS)])


def bearer(**claims: object) -> str:
    return "Bearer " + jwt.encode({"iss": "me", "sub": "jo", **claims}, SECRET, "HS256")


def test_claims_are_left_for_others() -> None:
    info = stream()
    assert TOKENS.on_request(request(authorization=bearer()), info) is CONTINUE
    assert info.claims == {"iss": "me", "sub": "jo"}
    TOKENS.on_response(HttpResponse(200), info)


def test_an_expired_token_is_401_with_envoys_words() -> None:
    info = stream(now=1000)
    step = TOKENS.on_request(request(authorization=bearer(exp=1)), info)
    assert isinstance(step, Respond)
    assert (step.response.status, step.body) == (401, b"Jwt is expired")
    assert info.details == "jwt_authn_access_denied{Jwt_is_expired}"


def test_without_issuers_nothing_is_looked_at() -> None:
    info = stream()
    assert Tokens([]).on_request(request(authorization="Bearer x"), info) is CONTINUE
    assert info.claims == {}
