"""RequestAuthentication: tokens found, checked, and told to the application [pure].

PyJWT checks signatures; keys, and the time, come in as arguments. A request without a token passes (an
AuthorizationPolicy may ask for one); one with a token that cannot be believed is 401, whatever policies say.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import jwt

from mesh_py.http.errors import BadToken, WrongAudience
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse
from mesh_py.http.session import cookie

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mesh_py.http.messages import HttpRequest
    from mesh_py.manifests.security import JwtRule

Claims = dict[str, Any]

CLOCK_SKEW = 60.0
"""Seconds that clocks may differ (Envoy's default)."""
MOST_TOKEN_BYTES = 16 * 1024
MOST_TOKENS = 8
"""Of one request that are looked at: each may cost a signature, and a request has room for hundreds."""

_FORM = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII).fullmatch

# Which algorithms a kind of key is good for. Never "none", and never a public key as an HMAC secret.
_ALGORITHMS = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC": frozenset({"ES256", "ES384", "ES512"}),
    "OKP": frozenset({"EdDSA"}),
    "oct": frozenset({"HS256", "HS384", "HS512"}),
}


class BadKeySet(ValueError):
    """A JWKS cannot be used at all."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a set."""

    key_id: str
    algorithms: frozenset[str]
    value: Any


def read_keys(jwks: str) -> tuple[Key, ...]:
    """The keys of a JWKS document that check signatures; others are passed over.

    Raises:
        BadKeySet: it is no JWKS, or none of its keys can be used.
    """
    try:
        entries = json.loads(jwks)["keys"]
    except (ValueError, KeyError, TypeError):
        raise BadKeySet('no JSON of the form {"keys": [...]}') from None
    if not isinstance(entries, list):
        raise BadKeySet("keys that are no list")
    keys = tuple(key for entry in entries if isinstance(entry, dict) and (key := _read_key(entry)) is not None)
    if not keys:
        raise BadKeySet("no key in it that checks signatures")
    return keys


def _read_key(entry: dict[str, Any]) -> Key | None:
    algorithms = _ALGORITHMS.get(str(entry.get("kty")), frozenset())
    if "alg" in entry:
        algorithms &= {str(entry["alg"])}
    if not algorithms or entry.get("use", "sig") != "sig":
        return None
    try:
        # Any algorithm of the kind makes the same key; which may be used is checked by us.
        value = jwt.PyJWK(entry, algorithm=min(algorithms)).key
    except jwt.PyJWTError:
        return None
    return Key(str(entry.get("kid", "")), algorithms, value)


class FetchedKeys:
    """The keys that somebody fetches: those that came last, none before the first time."""

    __slots__ = ("keys", "missed")

    def __init__(self) -> None:
        self.keys: tuple[Key, ...] = ()
        self.missed: Callable[[], None] = lambda: None
        """Called for a token whose key is not among them: there may be newer ones."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A rule and its keys; without keys (not fetched yet) its tokens cannot be believed."""

    rule: JwtRule
    keys: tuple[Key, ...] = ()
    fetched: FetchedKeys | None = None
    """In place of `keys`, where they are fetched."""

    def keys_for(self, algorithm: object, key_id: object) -> list[Key]:
        """Those that may have signed a token."""
        keys = self.keys if self.fetched is None else self.fetched.keys
        if not isinstance(algorithm, str):
            return []
        found = [key for key in keys if algorithm in key.algorithms and (not key_id or key.key_id in ("", key_id))]
        if not found and self.fetched is not None:
            self.fetched.missed()
        return found


DISCOVERY = "/.well-known/openid-configuration"


def uri_of(rule: JwtRule) -> str:
    """Where a rule's keys are fetched: its `jwksUri`, else what its issuer names there; empty if nowhere."""
    if rule.jwks:
        return ""
    is_address = rule.issuer.startswith(("https://", "http://"))
    return rule.jwks_uri or (rule.issuer.rstrip("/") + DISCOVERY if is_address else "")


def authenticate(request: HttpRequest, issuers: Sequence[Issuer], now: float) -> Claims:
    """The claims of the request's token, empty without one. Also tells the application, as the rule says.

    Raises:
        BadToken: a token is there and cannot be believed; the text is Envoy's.
    """
    _remove_forged(request, issuers)
    found: list[tuple[Issuer, str, Claims]] = []
    failure: BadToken | None = None
    for issuer in issuers:
        for count, token in enumerate(find_tokens(request, issuer.rule)):
            if count == MOST_TOKENS:
                raise BadToken(f"Jwt: more than {MOST_TOKENS} in one request")
            try:
                found.append((issuer, token, check_token(token, issuer, now)))
            except BadToken as error:
                failure = failure if failure is not None and str(error) == _ANOTHER_ISSUER else error
    if not found:
        if failure is not None:
            raise failure
        return {}
    issuer, token, claims = found[0]
    _tell(request, issuer.rule, token, claims)
    return claims


_ANOTHER_ISSUER = "Jwt issuer is not configured"


def find_tokens(request: HttpRequest, rule: JwtRule) -> Iterator[str]:
    """The tokens where the rule looks for them; by default a Bearer token, or the parameter `access_token`."""
    headers, params = rule.from_headers, rule.from_params
    if not (headers or params or rule.from_cookies):
        yield from _header_tokens(request, "authorization", "Bearer ")
        params = ("access_token",)
    for name, prefix in headers:
        yield from _header_tokens(request, name.lower(), prefix)
    if params:
        _, _, query = request.path.partition("?")
        given = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
        yield from (value for name, value in given if name in params)
    yield from (value for name in rule.from_cookies if (value := cookie(request, name)))


def _header_tokens(request: HttpRequest, name: str, prefix: str) -> Iterator[str]:
    for value in request.headers.get_all(name):
        if value.startswith(prefix):
            yield value[len(prefix) :].strip()


def check_token(token: str, issuer: Issuer, now: float) -> Claims:
    """The claims of a token of this issuer.

    Raises:
        BadToken: its form, issuer, signature, time or audience is not right.
    """
    header, claims = _read(token)
    rule = issuer.rule
    if claims.get("iss") != rule.issuer:
        raise BadToken(_ANOTHER_ISSUER)
    _check_times(claims, now)
    if rule.audiences and not _audiences(claims) & set(rule.audiences):
        raise WrongAudience("Audiences in Jwt are not allowed")
    _check_signature(token, header, issuer)
    return claims


def _read(token: str) -> tuple[Mapping[str, Any], Claims]:
    if len(token) > MOST_TOKEN_BYTES or _FORM(token) is None:
        raise BadToken("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")
    try:
        header: Mapping[str, Any] = jwt.get_unverified_header(token)
        claims = json.loads(_decoded(token.split(".")[1]))
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise BadToken("Jwt header or payload is not valid") from None
    if not isinstance(claims, dict):
        raise BadToken("Jwt payload is no JSON object")
    return header, claims


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _check_times(claims: Claims, now: float) -> None:
    expires, begins = claims.get("exp"), claims.get("nbf")
    for value in (expires, begins):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise BadToken("Jwt has a time that is no number")
    # The token's number stands alone: an integer may be larger than any float, and can only be compared with one.
    if expires is not None and now - CLOCK_SKEW > expires:
        raise BadToken("Jwt is expired")
    if begins is not None and now + CLOCK_SKEW < begins:
        raise BadToken("Jwt not yet valid")


def _audiences(claims: Claims) -> set[str]:
    audience = claims.get("aud", ())
    listed = audience if isinstance(audience, list) else [audience]
    return {text for text in listed if isinstance(text, str)}


def _check_signature(token: str, header: Mapping[str, Any], issuer: Issuer) -> None:
    algorithm = header.get("alg")
    fitting = issuer.keys_for(algorithm, header.get("kid"))
    for key in fitting:
        try:
            # Times and audiences were checked with the caller's clock.
            jwt.decode(token, key.value, algorithms=[str(algorithm)], options=_SIGNATURE_ALONE)
        except jwt.PyJWTError:
            continue
        return
    raise BadToken("Jwt verification fails" if fitting else "Jwt has no key that fits its algorithm and id")


_CHECKED_BY_US = ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti")
_SIGNATURE_ALONE: Any = {"verify_signature": True, **dict.fromkeys(_CHECKED_BY_US, False)}


# Telling the application -------------------------------------------------------------


def _remove_forged(request: HttpRequest, issuers: Sequence[Issuer]) -> None:
    """Nobody but us says what a token said, nor in the spelling that CGI and WSGI take for the same."""
    names = {issuer.rule.output_payload_to_header for issuer in issuers} - {""}
    names |= {claim.header for issuer in issuers for claim in issuer.rule.output_claim_to_headers}
    if names:
        forged = {name.lower().replace("_", "-") for name in names}
        headers = request.headers
        headers.fields = [field for field in headers.fields if field[0].replace("_", "-") not in forged]


def _tell(request: HttpRequest, rule: JwtRule, token: str, claims: Claims) -> None:
    headers = request.headers
    if rule.output_payload_to_header:
        headers.set(rule.output_payload_to_header.lower(), token.split(".")[1])
    for name, claim in rule.output_claim_to_headers:
        value = _at(claims, claim)
        if isinstance(value, str | int | float):  # True and False are numbers
            headers.set(name.lower(), _text(value))
    if not rule.forward_original_token:
        names = [name.lower() for name, _ in rule.from_headers] or ["authorization"]
        headers.fields = [field for field in headers.fields if not (field[0] in names and field[1].endswith(token))]


def _at(claims: Claims, name: str) -> Any:
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(value: str | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return base64.urlsafe_b64encode(text.encode(errors="replace")).decode()  # JSON may hold halves of a surrogate pair


def refusal(error: BadToken, request: HttpRequest) -> HttpResponse:
    """The 401, with Envoy's challenge."""
    realm = f"{request.scheme}://{request.authority}{request.path}".replace('"', "%22")
    return HttpResponse(error.status, Headers([("www-authenticate", f'Bearer realm="{realm}", error="invalid_token"')]))
