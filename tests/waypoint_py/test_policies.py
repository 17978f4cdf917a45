"""Who may pass: policies and tokens by what they name, the caller as the tunnel proved it, authorizers' word."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from aiohttp import web

from mesh_py.http.jwt_auth import FetchedKeys
from mesh_py.manifests.gateway import Gateway
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.proxy_file import Further
from mesh_py.manifests.references import TargetReference
from mesh_py.manifests.security import AuthorizationPolicy
from mesh_py.model.workload import Workload
from tests.mesh_py.proxy.issuers import issuer
from tests.support.processes import eventually, loopback_address
from tests.waypoint_py.manifests import SLEEP, manifests, methods, policy, principals, security
from tests.waypoint_py.waypoints import scene
from waypoint_py.policies import GATEWAY_NAME, Gates, gateway_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.support.certificates import CertificateFiles

    Certificates = Mapping[str, CertificateFiles]

OTHER = SLEEP.replace("sleep", "other")


@pytest.mark.parametrize(
    ("objects", "status"),
    [
        pytest.param([policy(principals(SLEEP))], 200, id="allowed"),
        pytest.param([policy(principals(OTHER))], 403, id="somebody else is"),
        pytest.param([policy(methods("POST"))], 403, id="another method is"),
        pytest.param([policy(methods("GET"), action="DENY")], 403, id="denied"),
        pytest.param([policy(methods("GET"), action="AUDIT")], 200, id="audited"),
        pytest.param([policy()], 403, id="nothing is"),
        pytest.param([policy(principals(OTHER), target="Gateway/waypoint")], 403, id="by the waypoint's Gateway"),
        pytest.param([policy(principals(OTHER), target="Gateway/other")], 200, id="another Gateway's"),
        pytest.param([policy(principals(OTHER), target="GatewayClass/istio-waypoint")], 403, id="by the class"),
        pytest.param([policy(principals(OTHER), target="Service/v2")], 200, id="another service's"),
        pytest.param(
            [security("AuthorizationPolicy", "p", "default", {"selector": {"matchLabels": {"a": "b"}}, "rules": []})],
            200,
            id="a pod's own",
        ),
        pytest.param([policy({"to": [{"operation": {"paths": ["/ip", "/{*}/x"]}}]})], 200, id="by path"),
        pytest.param(
            [policy({"when": [{"key": "request.headers[x-a]", "values": ["b"]}]})], 403, id="by a header it has not"
        ),
        pytest.param([policy({"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]})], 403, id="by another address"),
    ],
)
async def test_policies_judge_by_who_the_tunnel_proved(
    certificates: Certificates, objects: list[Any], status: int
) -> None:
    async with scene(certificates, manifests(*objects)) as one:
        answer = await one.http.get("/ip", headers={"x-forwarded-client-cert": f"URI=spiffe://{OTHER}"})
        assert answer.status_code == status
        if status == 403:
            assert answer.text == "RBAC: access denied"
            assert one.v1.calls() == []
            await one.waypoint.logged('" 403 - rbac_access_denied_matched_policy[')


async def test_applications_are_told_who_calls_where_the_gateway_says_so(certificates: Certificates) -> None:
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {
            "name": "waypoint",
            "namespace": "default",
            "annotations": {"ambient.istio.io/xfcc-include-client-identity": "true"},
        },
        "spec": {
            "gatewayClassName": "istio-waypoint",
            "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
        },
    }
    async with scene(certificates, manifests(gateway)) as one:
        answer = await one.http.get("/headers", headers={"x-forwarded-client-cert": f"URI=spiffe://{OTHER}"})
        told = answer.json()["headers"]["x-forwarded-client-cert"]
        assert told == f"By=spiffe://{SLEEP.replace('sleep', 'waypoint')};URI=spiffe://{SLEEP}"


@pytest.mark.parametrize(("hops", "status"), [("0", 403), ("1", 200), ("2", 403)])
async def test_remote_addresses_are_believed_of_so_many_proxies(
    certificates: Certificates, hops: str, status: int
) -> None:
    only = manifests(policy({"from": [{"source": {"remoteIpBlocks": ["10.1.1.0/24"]}}]}))
    async with scene(certificates, only, NUM_TRUSTED_PROXIES=hops) as one:
        answer = await one.http.get("/ip", headers={"x-forwarded-for": "9.9.9.9, 10.1.1.1"})
        assert answer.status_code == status


async def test_bytes_are_judged_before_the_200(certificates: Certificates) -> None:
    async with scene(certificates, manifests(policy(principals(OTHER))), speaks="TCP") as one:
        with pytest.raises(httpx.TransportError):
            await one.http.get("/ip")
        assert one.v1.calls() == []
        await one.waypoint.logged("policy rejection")


# Tokens ---------------------------------------------------------------------------------------------------------------

SECRET, FOREIGN = b"a secret of thirty-two bytes....", b"another one of thirty-two bytes."
KEYS = {"keys": [{"kty": "oct", "alg": "HS256", "k": base64.urlsafe_b64encode(SECRET).decode().rstrip("=")}]}


def token(secret: bytes = SECRET, **claims: Any) -> str:
    return jwt.encode({"iss": "me", "sub": "you", "exp": time.time() + 600, **claims}, secret, "HS256")


@pytest.mark.parametrize("given", ["inline", "file", "fetched"])
async def test_tokens_that_cannot_be_believed_are_401(certificates: Certificates, tmp_path: Path, given: str) -> None:
    async with issuer(None) as server:
        server.says("/jwks", KEYS)
        (tmp_path / "keys.json").write_text(json.dumps(KEYS))
        keys = {"inline": {"jwks": json.dumps(KEYS)}, "fetched": {"jwksUri": f"{server.url}/jwks"}}.get(given, {})
        files = {"keySets": {"me": f"{tmp_path}/keys.json"}} if given == "file" else {}
        await judge_tokens(certificates, keys, files)


async def judge_tokens(certificates: Certificates, keys: dict[str, str], files: dict[str, Any]) -> None:
    target = {"targetRefs": [{"group": "", "kind": "Service", "name": "httpbin"}]}
    asked = security("RequestAuthentication", "jwt", "default", {**target, "jwtRules": [{"issuer": "me", **keys}]})
    wanted = policy({"from": [{"source": {"requestPrincipals": ["me/you"]}}]})
    unsigned = jwt.encode({"iss": "me", "sub": "you"}, "", "none")
    expected = {
        "": 403,
        token(): 200,
        token(sub="somebody"): 403,
        token(exp=time.time() - 3600): 401,
        token(FOREIGN): 401,
        unsigned: 401,
    }
    async with scene(certificates, manifests(asked, wanted, **files)) as one:
        await eventually(lambda: one.waypoint.plane.key_sets.problems == [], "keys fetched")
        for text, status in expected.items():
            headers = {"authorization": f"Bearer {text}"} if text else {}
            answer = await one.http.get("/ip", headers=headers)
            assert answer.status_code == status, text
            assert ("www-authenticate" in answer.headers) is (status == 401)
        assert len(one.v1.calls()) == 1


# Authorizers ----------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def authorizer(address: str, port: int) -> AsyncIterator[list[str]]:
    """Lets pass who brings `x-pass: yes`; notes what it is asked."""
    asked: list[str] = []

    async def judge(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path_qs} x-secret={request.headers.get('x-secret')}")
        if request.headers.get("x-pass") == "yes":
            return web.Response(headers={"x-user": "ann", "x-other": "no"})
        return web.Response(status=302, headers={"location": "http://login.test/"}, text="log in")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", judge)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    try:
        yield asked
    finally:
        await runner.cleanup()


async def test_an_external_authorizer_has_the_last_word(certificates: Certificates) -> None:
    address = loopback_address()
    provider = {
        "name": "asker",
        "envoyExtAuthzHttp": {
            "service": "asker.default.svc.cluster.local",
            "port": 9000,
            "includeRequestHeadersInCheck": ["x-pass"],
            "headersToUpstreamOnAllow": ["x-user"],
        },
    }
    more = f"""\
- {{uid: asker, name: asker, namespace: default, serviceAccount: asker, trustDomain: cluster.local,
    workloadIps: ["{address}"], services: {{"default/asker.default.svc.cluster.local": {{9000: 9000}}}}}}"""
    service = """\
- {name: asker, namespace: default, hostname: asker.default.svc.cluster.local, vips: ["/127.9.9.9"],
    ports: {9000: 9000}}
"""
    custom = policy(methods("GET"), action="CUSTOM", provider={"name": "asker"})
    further = service + manifests(custom, extensionProviders=[provider])
    async with authorizer(address, 9000) as asked, scene(certificates) as one:
        one.waypoint.take(one.at.mesh(further=further, more=more))
        answer = await one.http.get("/headers?a=b", headers={"x-secret": "1"})
        assert (answer.status_code, answer.headers["location"], answer.text) == (302, "http://login.test/", "log in")
        answer = await one.http.get("/headers", headers={"x-pass": "yes", "x-user": "forged"})
        assert answer.json()["headers"]["x-user"] == "ann"
        assert "x-other" not in answer.json()["headers"]
        assert asked == ["GET /headers?a=b x-secret=None", "GET /headers x-secret=None"]
        one.waypoint.take(one.at.mesh(further=manifests(custom)))
        assert (await one.http.get("/headers", headers={"x-pass": "yes"})).status_code == 403
    await one.waypoint.logged(" 302 UAEX ")


# Which Gateway, and whose root namespace ------------------------------------------------------------------------------

WAY = Workload(name="way-1", namespace="a", workload_name="way", service_account="s")


def gateways(*names: str) -> Manifests:
    return Manifests.of(Gateway(Metadata(name, "a")) for name in names)


@pytest.mark.parametrize(
    ("told", "further", "found"),
    [
        pytest.param("said", Further(gateways("one")), "said", id="as it was told"),
        pytest.param("", Further(gateways("one"), {"a/way-1": {GATEWAY_NAME: "two"}}), "two", id="by its label"),
        pytest.param("", Further(gateways("one", "way")), "way", id="by its deployment's name"),
        pytest.param("", Further(gateways("one")), "one", id="the only one"),
        pytest.param("", Further(gateways("one", "two")), "way-1", id="none of several"),
        pytest.param("", Further(), "way", id="none is known"),
    ],
)
def test_which_gateway_it_serves(told: str, further: Further, found: str) -> None:
    assert gateway_of(told, WAY, further) == found


@pytest.mark.parametrize(("root", "count"), [("elsewhere", 1), ("", 0)])
def test_a_control_plane_says_where_the_mesh_has_its_root(root: str, count: int) -> None:
    target = TargetReference("GatewayClass", "istio-waypoint", "gateway.networking.k8s.io")
    everywhere = AuthorizationPolicy(Metadata("deny", "elsewhere"), target_refs=(target,))
    further = Further(Manifests.of([everywhere]), root_namespace=root)
    gate = Gates("istio-system", str, lambda _: FetchedKeys()).of(further, WAY, "way", None)
    assert bool(gate.connections) is bool(count)
