"""Key sets as they come and go: one fetch for many, last good ones kept, newer ones asked for."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from hbone_py.aio.tcp import SocketOptions
from mesh_py.discovery.state import MeshState
from mesh_py.http.errors import BadToken
from mesh_py.http.jwt_auth import Issuer as Believed
from mesh_py.http.jwt_auth import check_token
from mesh_py.manifests.proxy_file import further_of, read_proxy_file
from mesh_py.manifests.security import JwtRule
from mesh_py.process.background import background
from mesh_py.proxy.directory import Directory
from mesh_py.proxy.key_sets import MOST_SETS, KeySets
from mesh_py.settings.key_sets import KeySetSettings
from tests.mesh_py.http.test_jwt_auth import EC, RSA, jwk
from tests.mesh_py.proxy.issuers import issuer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.mesh_py.proxy.issuers import Issuer

OLD, NEW = ({"keys": [jwk("RS256", RSA, kid="old")]}, {"keys": [jwk("ES256", EC, kid="new")]})
QUICK = KeySetSettings(refresh=3600.0, least=0.0)


def mesh(*uris: str, issuer: str = "me") -> str:
    rules = [{"issuer": issuer, **({"jwksUri": uri} if uri else {})} for uri in uris]
    one = {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": "tokens", "namespace": "default"},
        "spec": {"jwtRules": rules},
    }
    return f"manifests: {json.dumps([one])}"


class Kept:
    """Sets that are served, and the manifests they follow."""

    def __init__(self, settings: KeySetSettings = QUICK) -> None:
        self.directory = Directory(MeshState(), "cluster.local")
        self.sets = KeySets(settings, SocketOptions(), self.directory, lambda: 0.5)

    def take(self, text: str) -> None:
        self.directory.take(further_of(read_proxy_file(text, "mesh.yaml")))

    def believes(self, rule: JwtRule, kid: str, key: Any, algorithm: str) -> bool:
        token = jwt.encode({"iss": rule.issuer}, key, algorithm, headers={"kid": kid})
        try:
            check_token(token, Believed(rule, fetched=self.sets.of(rule)), 0.0)
        except BadToken:
            return False
        return True


@contextlib.asynccontextmanager
async def kept(settings: KeySetSettings = QUICK) -> AsyncIterator[tuple[Kept, Issuer]]:
    one = Kept(settings)
    async with issuer(None) as server, background(one.sets.serve()):
        yield one, server


async def test_one_fetch_serves_every_rule_that_names_it() -> None:
    async with kept() as (one, server):
        server.says("/jwks", OLD)
        uri = f"{server.url}/jwks"
        one.take(mesh(uri, uri, uri))
        rule = JwtRule("me", jwks_uri=uri)
        await eventually(lambda: one.believes(rule, "old", RSA, "RS256"), "fetched")
        one.take(mesh(uri, uri))
        assert one.believes(rule, "old", RSA, "RS256")
        assert len(server.asked) == 1
        assert one.sets.problems == []


async def test_nobody_is_believed_before_the_first() -> None:
    one = Kept()
    one.take(mesh("http://127.0.0.1:9/jwks"))
    assert not one.believes(JwtRule("me", jwks_uri="http://127.0.0.1:9/jwks"), "old", RSA, "RS256")
    assert one.sets.problems == ["keys of jwksUri http://127.0.0.1:9/jwks: not fetched yet"]


@pytest.mark.parametrize(("answer", "status"), [(OLD, 500), ({"keys": []}, 200), ("nonsense", 200)])
async def test_the_last_good_keys_stay_when_a_fetch_fails(answer: object, status: int) -> None:
    async with kept() as (one, server):
        server.says("/jwks", OLD)
        rule = JwtRule("me", jwks_uri=f"{server.url}/jwks")
        one.take(mesh(rule.jwks_uri))
        await eventually(lambda: one.believes(rule, "old", RSA, "RS256"), "fetched")
        server.says("/jwks", answer, status)
        assert not one.believes(rule, "new", EC, "ES256")  # which asks for newer ones
        await eventually(lambda: bool(one.sets.problems), "failed")
        assert one.believes(rule, "old", RSA, "RS256")


async def test_a_key_that_is_not_known_brings_the_next_fetch() -> None:
    async with kept() as (one, server):
        server.says("/jwks", OLD)
        rule = JwtRule("me", jwks_uri=f"{server.url}/jwks")
        one.take(mesh(rule.jwks_uri))
        await eventually(lambda: one.believes(rule, "old", RSA, "RS256"), "fetched")
        server.says("/jwks", NEW)
        await eventually(lambda: one.believes(rule, "new", EC, "ES256"), "fetched anew")
        assert not one.believes(rule, "old", RSA, "RS256")


async def test_not_more_often_than_may_be() -> None:
    async with kept(KeySetSettings(least=3600.0)) as (one, server):
        server.says("/jwks", OLD)
        rule = JwtRule("me", jwks_uri=f"{server.url}/jwks")
        one.take(mesh(rule.jwks_uri))
        await eventually(lambda: one.believes(rule, "old", RSA, "RS256"), "fetched")
        assert not any(one.believes(rule, f"key {number}", RSA, "RS256") for number in range(50))
        assert one.sets.fetches == 1


async def test_it_is_fetched_anew_in_time() -> None:
    async with kept(KeySetSettings(refresh=0.01, least=0.0)) as (one, server):
        server.says("/jwks", OLD)
        one.take(mesh(f"{server.url}/jwks"))
        await eventually(lambda: len(server.asked) >= 3, "fetched again")


async def test_an_issuer_says_itself_where_its_keys_are() -> None:
    async with kept() as (one, server):
        server.says("/.well-known/openid-configuration", {"jwks_uri": f"{server.url}/jwks"})
        server.says("/jwks", OLD)
        one.take(mesh("", issuer=server.url))
        await eventually(lambda: one.believes(JwtRule(server.url), "old", RSA, "RS256"), "fetched")


async def test_what_is_named_no_more_is_forgotten() -> None:
    async with kept() as (one, server):
        one.take(mesh(f"{server.url}/a", f"{server.url}/b"))
        one.take(mesh(f"{server.url}/b"))
        assert [found["uri"] for found in one.sets.describe()] == [f"{server.url}/b"]


async def test_no_more_than_may_be() -> None:
    one = Kept()
    one.take(mesh(*(f"http://127.0.0.1:9/{number}" for number in range(MOST_SETS + 5))))
    assert len(one.sets.describe()) == MOST_SETS
