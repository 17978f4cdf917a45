"""What is asked of who calls: mutual TLS by port, policies by namespace and selector, tokens, and failing closed."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest

from hbone_py.identity import SpiffeId
from mesh_py.discovery.state import MeshState
from mesh_py.http.errors import AccessDenied, AuthorizerDenied, BadToken
from mesh_py.http.headers import Headers
from mesh_py.http.jwt_auth import FetchedKeys, read_keys
from mesh_py.http.messages import HttpRequest
from mesh_py.http.rbac_facts import RequestFacts
from mesh_py.manifests.proxy_file import Further, further_of, read_proxy_file
from mesh_py.manifests.security import MutualTls
from mesh_py.model.address import IpAddress
from mesh_py.model.authorization import Action, Policy, Scope
from mesh_py.model.errors import PolicyDenied
from mesh_py.proxy.directory import Directory
from sidecar_py.inbound_rules import InboundRules
from tests.support.world import workload

WEB = workload("web", "10.0.0.2")
CLIENT, LOCAL = (IpAddress("10.0.0.1"), 5555), (IpAddress("10.0.0.2"), 8080)
SLEEP = SpiffeId("cluster.local", "default", "sleep")
HEAD = "labels: {default/web: {app: web}}\nmanifests:\n"


def policy(spec: str, kind: str = "AuthorizationPolicy", namespace: str = "default", name: str = "p") -> str:
    return (
        f"- {{apiVersion: security.istio.io/v1, kind: {kind}, metadata: {{name: {name}, namespace: {namespace}}}, "
        f"spec: {spec}}}\n"
    )


def rules(*policies: str, fallback: str = "PERMISSIVE", complete: bool = True, **more: Any) -> InboundRules:
    state = MeshState()
    directory = Directory(state, "cluster.local")
    if not complete:
        directory.expect_configuration()
    text = HEAD + ("".join(policies) or "  []\n")
    directory.take(further_of(read_proxy_file(text, "mesh.yaml")))
    return InboundRules(state, directory, "istio-system", fallback, **more)


def asks(found: InboundRules, path: str = "/", identity: SpiffeId | None = SLEEP, **headers: str) -> tuple[str, ...]:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    request = HttpRequest("GET", path, "web", Headers(named))
    return found.judge_request(WEB, RequestFacts(request, CLIENT[0], LOCAL[0], LOCAL[1], identity), time.time())


@pytest.mark.parametrize(
    ("policies", "fallback", "port", "expected"),
    [
        pytest.param([], "STRICT", 80, MutualTls.STRICT, id="the setting, where nothing is written"),
        pytest.param(
            [policy("{mtls: {mode: STRICT}}", "PeerAuthentication", "istio-system")],
            "DISABLE",
            80,
            MutualTls.STRICT,
            id="the mesh's",
        ),
        pytest.param(
            [
                policy("{mtls: {mode: STRICT}}", "PeerAuthentication"),
                policy(
                    "{selector: {matchLabels: {app: web}}, mtls: {mode: PERMISSIVE}, "
                    "portLevelMtls: {8080: {mode: DISABLE}}}",
                    "PeerAuthentication",
                    name="q",
                ),
            ],
            "PERMISSIVE",
            8080,
            MutualTls.DISABLE,
            id="a port's",
        ),
        pytest.param(
            [policy("{mtls: {mode: STRICT}}", "PeerAuthentication", "other")],
            "PERMISSIVE",
            80,
            MutualTls.PERMISSIVE,
            id="another namespace's is not ours",
        ),
    ],
)
def test_mutual_tls(policies: list[str], fallback: str, port: int, expected: MutualTls) -> None:
    assert rules(*policies, fallback=fallback).mode(WEB, port) is expected


STRICT = "{mtls: {mode: STRICT}}"
DENY_PATH = '{action: DENY, rules: [{to: [{operation: {paths: ["/no"]}}]}]}'
ONLY_SLEEP = "{rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/sleep]}}]}]}"


@pytest.mark.parametrize(
    ("one", "path", "identity", "is_allowed"),
    [
        pytest.param(policy(DENY_PATH), "/yes", SLEEP, True, id="another path"),
        pytest.param(policy(DENY_PATH), "/no?q", SLEEP, False, id="a denied path"),
        pytest.param(policy(DENY_PATH, namespace="istio-system"), "/no", SLEEP, False, id="the mesh's policy"),
        pytest.param(policy(DENY_PATH, namespace="other"), "/no", SLEEP, True, id="another namespace's"),
        pytest.param(
            policy(DENY_PATH.replace("{", "{selector: {matchLabels: {app: web}}, ", 1)), "/no", SLEEP, False, id="ours"
        ),
        pytest.param(
            policy(DENY_PATH.replace("{", "{selector: {matchLabels: {app: db}}, ", 1)),
            "/no",
            SLEEP,
            True,
            id="not ours",
        ),
        pytest.param(policy(ONLY_SLEEP), "/", SLEEP, True, id="an allowed caller"),
        pytest.param(policy(ONLY_SLEEP), "/", None, False, id="nobody"),
        pytest.param(policy("{}"), "/", SLEEP, False, id="an ALLOW that allows nothing"),
    ],
)
def test_requests(one: str, path: str, identity: SpiffeId | None, is_allowed: bool) -> None:
    found = rules(one)
    if is_allowed:
        asks(found, path, identity)
    else:
        with pytest.raises(AccessDenied, match="rbac_access_denied_matched_policy"):
            asks(found, path, identity)


@pytest.mark.parametrize(
    ("one", "is_allowed"),
    [
        pytest.param(policy(ONLY_SLEEP), True, id="by principal"),
        pytest.param(policy(DENY_PATH), False, id="a DENY by path: who says that these bytes are not of it"),
        pytest.param(policy(DENY_PATH.replace("DENY", "ALLOW")), False, id="an ALLOW by path"),
        pytest.param(policy("{action: DENY, rules: [{to: [{operation: {ports: ['1']}}]}]}"), True, id="another port"),
    ],
)
def test_bytes(one: str, is_allowed: bool) -> None:
    found = rules(one)
    if is_allowed:
        found.judge_connection(WEB, CLIENT, LOCAL, SLEEP)
    else:
        with pytest.raises(PolicyDenied):
            found.judge_connection(WEB, CLIENT, LOCAL, SLEEP)


def test_an_authorizer_is_to_be_asked_about_requests_and_cannot_be_about_bytes() -> None:
    found = rules(policy("{action: CUSTOM, provider: {name: ext}, rules: [{}]}"))
    assert asks(found) == ("ext",)
    with pytest.raises(AuthorizerDenied, match="ext"):
        found.judge_connection(WEB, CLIENT, LOCAL, SLEEP)


def test_nobody_is_let_in_before_the_policies_are_told() -> None:
    found = rules(complete=False)
    with pytest.raises(PolicyDenied, match="not told any policies"):
        asks(found)


def test_policies_of_layer_4_count_too_unless_a_control_plane_tells_all() -> None:
    web = workload("web", "10.0.0.2", authorization_policies=("default/unknown",))
    with pytest.raises(PolicyDenied, match="default/unknown"):
        rules().judge_connection(web, CLIENT, LOCAL, SLEEP)
    rules(layer_4=False).judge_connection(web, CLIENT, LOCAL, SLEEP)


def test_policies_of_a_file_beside_a_control_plane_are_judged() -> None:
    state = MeshState()
    directory = Directory(state, "cluster.local")
    everybody = Policy("deny", "default", Scope.NAMESPACE, Action.DENY, ((),))
    state.upsert_policy(everybody)
    found = InboundRules(state, directory, "istio-system", "PERMISSIVE", layer_4=False)
    with pytest.raises(PolicyDenied, match="default/deny"):
        found.judge_connection(WEB, CLIENT, LOCAL, SLEEP)
    with pytest.raises(PolicyDenied, match="default/deny"):
        asks(found)


def test_the_control_plane_says_whose_policies_are_for_the_whole_mesh() -> None:
    state = MeshState()
    directory = Directory(state, "cluster.local")
    text = HEAD + policy(DENY_PATH, namespace="mesh-root") + policy(STRICT, "PeerAuthentication", "mesh-root")
    told = further_of(read_proxy_file(text, "mesh.yaml"))
    directory.take(told._replace(root_namespace="mesh-root"), "control plane")
    directory.take(Further(), "file")
    found = InboundRules(state, directory, "istio-system", "PERMISSIVE", layer_4=False)
    assert found.mode(WEB, 80) is MutualTls.STRICT
    with pytest.raises(AccessDenied):
        asks(found, "/no")


def test_verdicts_may_change_with_policies_manifests_and_our_workload_only() -> None:
    state = MeshState()
    directory = Directory(state, "cluster.local")
    found = InboundRules(state, directory, "istio-system", "PERMISSIVE")
    assert (found.is_changed(WEB), found.is_changed(WEB)) == (True, False)
    state.upsert_workload(workload("other", "10.0.0.9"))
    assert not found.is_changed(WEB)
    directory.take(Further())
    assert (found.is_changed(WEB), found.is_changed(WEB)) == (True, False)
    state.upsert_policy(Policy("deny", "default", Scope.NAMESPACE, Action.DENY, ((),)))
    assert (found.is_changed(WEB), found.is_changed(workload("web", "10.0.0.2"))) == (True, True)


# Tokens --------------------------------------------------------------------------------------------------------------

SECRET = b"not a secret but for this test, and long enough"
JWKS = json.dumps({"keys": [{"kty": "oct", "k": urlsafe_b64encode(SECRET).decode().rstrip("="), "alg": "HS256"}]})
ISSUED = policy(f"{{jwtRules: [{{issuer: me, jwks: '{JWKS}'}}]}}", "RequestAuthentication")
NEEDS_ONE = policy('{rules: [{from: [{source: {requestPrincipals: ["me/ann"]}}]}]}', name="q")


def token(**claims: object) -> str:
    return f"Bearer {jwt.encode({'iss': 'me', 'sub': 'ann', 'exp': time.time() + 60, **claims}, SECRET, 'HS256')}"


def test_a_token_proves_who_asks() -> None:
    found = rules(ISSUED, NEEDS_ONE)
    asks(found, authorization=token())
    with pytest.raises(AccessDenied):
        asks(found, authorization=token(sub="ben"))
    with pytest.raises(AccessDenied):
        asks(found)


@pytest.mark.parametrize(
    "given", [pytest.param(token(exp=1), id="expired"), pytest.param("Bearer no.to.ken", id="malformed")]
)
def test_a_token_that_cannot_be_believed(given: str) -> None:
    with pytest.raises(BadToken):
        asks(rules(ISSUED), authorization=given)


def test_keys_that_nobody_has_believe_nobody_and_say_so_once() -> None:
    told: list[str] = []
    found = rules(policy("{jwtRules: [{issuer: me}]}", "RequestAuthentication"), report=told.append)
    for _ in range(2):
        with pytest.raises(BadToken):
            asks(found, authorization=token())
    complaint = "default/p: keys of me: there are none: write them as jwks, or name a jwksUri"
    assert told == found.problems(WEB) == [complaint]


def test_keys_that_come_later_are_believed_from_then_on() -> None:
    fetched = FetchedKeys()
    unfetched = policy("{jwtRules: [{issuer: me, jwksUri: 'https://example.com/keys'}]}", "RequestAuthentication")
    found = rules(unfetched, fetched=lambda _: fetched)
    with pytest.raises(BadToken):
        asks(found, authorization=token())
    fetched.keys = read_keys(JWKS)
    assert asks(found, authorization=token()) == ()
