"""Bearer tokens: who may speak to the control plane, and as whom.

A token is what Kubernetes projects into a pod, signed here instead of by a cluster: a JWT with the audience
`istio-ca`, an expiry, and the `kubernetes.io` claims that name namespace, service account, pod and node. The keys
lie in the state folder (`token_keys.py`), so that the command that mints tokens and the server that checks them need
nothing but the folder; both follow it when its keys are changed.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from mesh_py.identity.token_keys import KEY_FILE, Keys, TokenError, open_keys, stamp_of_keys

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec


__all__ = ["AUDIENCE", "KEY_FILE", "LONGEST_TOKEN", "Caller", "TokenError", "TokenKey", "bearer"]

log = logging.getLogger("security")

AUDIENCE = "istio-ca"
ISSUER = "istiod-py"
LIFETIME = 12 * 3600.0
"""Seconds; what Istio's chart asks of Kubernetes."""

LONGEST_TOKEN = 8 * 1024
"""Characters; of anything longer not even the signature is looked at."""

_ALGORITHM = "ES256"
_LEEWAY = 5.0
"""Seconds that clocks may differ."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a token speaks for. `pod` and `node` are "" where it names none."""

    namespace: str
    service_account: str
    pod: str = ""
    pod_uid: str = ""
    node: str = ""

    @property
    def account(self) -> str:
        """`namespace/service-account`."""
        return f"{self.namespace}/{self.service_account}"


class TokenKey:
    """Signs tokens and checks them. All times are seconds since the epoch."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, audiences: tuple[str, ...] = (AUDIENCE,)) -> None:
        self._keys = Keys(key, (key.public_key(),))
        self._audiences = audiences
        self._folder: Path | None = None
        self._stamp: Hashable = None

    @classmethod
    def open(cls, folder: Path, audiences: tuple[str, ...] = (AUDIENCE,)) -> TokenKey:
        """The folder's keys, followed when they change; made at the first opening. Raises TokenError, OSError."""
        stamp, keys = stamp_of_keys(folder), open_keys(folder)
        one = cls(keys.signs, audiences)
        one._keys, one._folder, one._stamp = keys, folder, stamp
        return one

    def _look(self) -> None:
        """The keys may have been changed. Those that cannot be read leave what was."""
        if self._folder is None or (stamp := stamp_of_keys(self._folder)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = open_keys(self._folder)
        except (TokenError, OSError) as error:
            log.error("the keys of tokens stay as they were: %s", error)

    def mint(self, caller: Caller, now: float, lifetime: float = LIFETIME) -> str:
        """A token for the caller from now on."""
        self._look()
        account = f"system:serviceaccount:{caller.namespace}:{caller.service_account}"
        claims = {
            "aud": [self._audiences[0]],
            "iss": ISSUER,
            "sub": account,
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + lifetime),
            "jti": secrets.token_hex(8),
            "kubernetes.io": _kubernetes_claims(caller),
        }
        return jwt.encode(claims, self._keys.signs, algorithm=_ALGORITHM)

    def check(self, token: str, now: float) -> Caller:
        """Who the token speaks for. Raises TokenError."""
        if len(token) > LONGEST_TOKEN:
            raise TokenError("malformed", f"a token of {len(token)} characters: at most {LONGEST_TOKEN} are read")
        self._look()
        claims = self._verified(token)
        _check_times(claims, now)
        return _caller(claims)

    def _verified(self, token: str) -> Mapping[str, Any]:
        """Claims under a signature of ours, meant for us. Times are for the caller to check, by its own clock."""
        for key in self._keys.believed:
            try:
                return self._decoded(token, key)
            except jwt.InvalidSignatureError:
                continue
        raise TokenError("foreign", "the token was signed with another key: mint it with our state folder")

    def _decoded(self, token: str, key: ec.EllipticCurvePublicKey) -> Mapping[str, Any]:
        options: Any = {"require": ["exp", "aud"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token, key, algorithms=[_ALGORITHM], audience=self._audiences, issuer=ISSUER, options=options
            )
        except jwt.InvalidAudienceError as error:
            wanted = " or ".join(self._audiences)
            raise TokenError("audience", f"the token is not meant for {wanted}") from error
        except jwt.InvalidSignatureError:
            raise
        except Exception as error:  # the library raises many kinds (a header nested too deeply: RecursionError)
            raise TokenError("malformed", f"the token cannot be used: {error}") from error
        return claims


def bearer(header: str | None) -> str:
    """The token of an `authorization` header. Raises TokenError when there is none."""
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenError("missing", "no bearer token in the authorization header")
    return token.strip()


def _kubernetes_claims(caller: Caller) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "namespace": caller.namespace,
        "serviceaccount": {"name": caller.service_account},
    }
    if caller.pod:
        claims["pod"] = {"name": caller.pod, "uid": caller.pod_uid}
    if caller.node:
        claims["node"] = {"name": caller.node}
    return claims


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expiry, begin = _number(claims.get("exp")), _number(claims.get("nbf", 0))
    if now > expiry + _LEEWAY:
        raise TokenError("expired", f"the token expired {now - expiry:.0f} s ago: mint a new one")
    if now < begin - _LEEWAY:
        raise TokenError("early", f"the token holds only in {begin - now:.0f} s: are the clocks right?")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError("malformed", "the token's times are no numbers")
    return value


def _caller(claims: Mapping[str, Any]) -> Caller:
    kubernetes = _part(claims, "kubernetes.io")
    namespace, account = kubernetes.get("namespace"), _part(kubernetes, "serviceaccount").get("name")
    if not isinstance(namespace, str) or not isinstance(account, str) or not namespace or not account:
        raise TokenError("malformed", "the token names no namespace and service account")
    pod, node = _part(kubernetes, "pod"), _part(kubernetes, "node")
    return Caller(namespace, account, _text(pod, "name"), _text(pod, "uid"), _text(node, "name"))


def _part(claims: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = claims.get(key)
    return value if isinstance(value, dict) else {}


def _text(claims: Mapping[str, Any], key: str) -> str:
    value = claims.get(key)
    return value if isinstance(value, str) else ""
