"""Security kinds: every field of a policy, and everything that would change who may call without a word."""

from __future__ import annotations

import pytest

from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.references import TargetReference
from mesh_py.manifests.security import (
    Action,
    AuthorizationPolicy,
    ClaimHeader,
    Condition,
    JwtRule,
    MutualTls,
    Operation,
    PeerAuthentication,
    RequestAuthentication,
    Rule,
    Source,
    TokenHeader,
)
from mesh_py.model.address import Cidr
from tests.support.manifests import faults, read

HEAD = "apiVersion: security.istio.io/v1\nkind: {}\nmetadata: {{name: a, namespace: shop}}\n{}"
SHOP = Metadata("a", "shop")
BLOCK = (Cidr.parse("10.0.0.0/8"),)
SERVICE = TargetReference("Service", "web")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("", PeerAuthentication(SHOP), id="nothing"),
        pytest.param("spec: {}", PeerAuthentication(SHOP), id="an empty spec"),
        pytest.param("spec: {mtls: {mode: STRICT}}", PeerAuthentication(SHOP, mtls=MutualTls.STRICT), id="a mode"),
        pytest.param("spec: {mtls: {}}", PeerAuthentication(SHOP), id="an empty mode is none"),
        pytest.param("spec: {selector: {}}", PeerAuthentication(SHOP, {}), id="an empty selector"),
        pytest.param(
            "spec: {selector: {matchLabels: {app: web}}, portLevelMtls: {80: {mode: DISABLE}, '81': {}}}",
            PeerAuthentication(SHOP, {"app": "web"}, port_level_mtls={80: MutualTls.DISABLE, 81: MutualTls.UNSET}),
            id="ports",
        ),
    ],
)
def test_peer_authentications(spec: str, expected: PeerAuthentication) -> None:
    assert read(PeerAuthentication, HEAD.format("PeerAuthentication", spec)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("{mtls: {mode: strict}}", ["4:21: unknown value 'strict'; did you mean 'STRICT'?"], id="a mode"),
        pytest.param(
            "{portLevelMtls: {80: {mode: STRICT}}}",
            ["4:7: portLevelMtls needs a selector: ports are those of workloads; add selector.matchLabels"],
            id="ports of nobody",
        ),
        pytest.param(
            "{selector: {matchLabels: {a: b}}, portLevelMtls: {http: {}}}",
            ["4:57: expected a whole number from 1 to 65535, found 'http'"],
            id="a named port",
        ),
        pytest.param(
            "{selector: {matchLabels: {app: 'web*'}}}",
            ["4:33: a selector has no wildcards; leave the label out to select any value"],
            id="a wildcard",
        ),
    ],
)
def test_what_is_wrong_with_a_peer_authentication(spec: str, expected: list[str]) -> None:
    assert faults(HEAD.format("PeerAuthentication", f"spec: {spec}")) == expected


def policy(spec: str) -> AuthorizationPolicy:
    return read(AuthorizationPolicy, HEAD.format("AuthorizationPolicy", spec))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("", AuthorizationPolicy(SHOP), id="nothing: it denies all"),
        pytest.param("spec: {}", AuthorizationPolicy(SHOP), id="an empty spec: the same"),
        pytest.param("spec: {rules: []}", AuthorizationPolicy(SHOP), id="no rules: the same"),
        pytest.param("spec: {rules: [{}]}", AuthorizationPolicy(SHOP, rules=(Rule(),)), id="an empty rule: all"),
        pytest.param("spec: {action: DENY}", AuthorizationPolicy(SHOP, action=Action.DENY), id="an action"),
        pytest.param(
            "spec: {action: CUSTOM, provider: {name: oauth}, rules: [{}]}",
            AuthorizationPolicy(SHOP, action=Action.CUSTOM, provider="oauth", rules=(Rule(),)),
            id="a provider",
        ),
        pytest.param(
            "spec: {selector: {matchLabels: {app: web}}}", AuthorizationPolicy(SHOP, {"app": "web"}), id="a selector"
        ),
        pytest.param(
            "spec: {targetRefs: [{kind: Service, group: '', name: web}, {kind: GatewayClass, "
            "group: gateway.networking.k8s.io, name: istio-waypoint}]}",
            AuthorizationPolicy(
                SHOP,
                target_refs=(SERVICE, TargetReference("GatewayClass", "istio-waypoint", "gateway.networking.k8s.io")),
            ),
            id="targets",
        ),
        pytest.param(
            "spec: {targetRef: {kind: Service, group: core, name: web}}",
            AuthorizationPolicy(SHOP, target_refs=(SERVICE,)),
            id="one target",
        ),
    ],
)
def test_authorization_policies(spec: str, expected: AuthorizationPolicy) -> None:
    assert policy(spec) == expected


SOURCES = """
principals [a] principals
requestPrincipals ['*'] request_principals
namespaces [ns] namespaces
serviceAccounts [ns/sa] service_accounts
ipBlocks [10.0.0.0/8] ip_blocks
remoteIpBlocks [10.0.0.0/8] remote_ip_blocks
trustDomains [td] trust_domains
"""
OPERATIONS = """
hosts ['*.example.com'] hosts
ports ['80'] ports
methods [GET] methods
paths ['/a*'] paths
"""
VALUES: dict[str, object] = {
    "[a]": ("a",),
    "['*']": ("*",),
    "[ns]": ("ns",),
    "[ns/sa]": ("ns/sa",),
    "[10.0.0.0/8]": BLOCK,
    "[td]": ("td",),
    "['*.example.com']": ("*.example.com",),
    "['80']": (80,),
    "[GET]": ("GET",),
    "['/a*']": ("/a*",),
}


@pytest.mark.parametrize("line", SOURCES.split("\n")[1:-1])
def test_every_field_of_a_source_and_its_opposite(line: str) -> None:
    key, text, argument = line.split()
    opposite = f"not{key[0].upper()}{key[1:]}"
    [rule] = policy(
        f"spec: {{rules: [{{from: [{{source: {{{key}: {text}}}}}, {{source: {{{opposite}: {text}}}}}]}}]}}"
    ).rules
    assert rule.from_ == (Source(**{argument: VALUES[text]}), Source(**{f"not_{argument}": VALUES[text]}))  # type: ignore[arg-type]


@pytest.mark.parametrize("line", OPERATIONS.split("\n")[1:-1])
def test_every_field_of_an_operation_and_its_opposite(line: str) -> None:
    key, text, argument = line.split()
    opposite = f"not{key[0].upper()}{key[1:]}"
    [rule] = policy(f"spec: {{rules: [{{to: [{{operation: {{{key}: {text}, {opposite}: {text}}}}}]}}]}}").rules
    assert rule.to == (Operation(**{argument: VALUES[text], f"not_{argument}": VALUES[text]}),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "key",
    ["source.ip", "request.headers[x-user]", "request.auth.claims[iss][sub]", "experimental.envoy.filters.x[y]"],
)
def test_conditions(key: str) -> None:
    [rule] = policy(f"spec: {{rules: [{{when: [{{key: '{key}', values: ['1'], notValues: ['2']}}]}}]}}").rules
    assert rule.when == (Condition(key, ("1",), ("2",)),)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("{action: Deny}", ["4:16: unknown value 'Deny'; did you mean 'DENY'?"], id="an action"),
        pytest.param(
            "{rules: [{from: [{source: {princpals: [a]}}]}]}",
            ["4:34: unknown key 'princpals' in source; did you mean 'principals'?"],
            id="a key",
        ),
        pytest.param(
            "{rules: [{from: []}, {to: []}, {when: []}]}",
            [
                "4:23: an empty 'from' matches nothing; remove 'from' to match everything",
                "4:33: an empty 'to' matches nothing; remove 'to' to match everything",
                "4:45: an empty 'when' matches nothing; remove 'when' to match everything",
            ],
            id="empty lists",
        ),
        pytest.param(
            "{rules: [{from: [{source: {}}], to: [{operation: {}}, {}]}]}",
            [
                "4:33: an empty source matches nothing; add a condition, or remove 'from' to match everybody",
                "4:56: an empty operation matches nothing; add a condition, or remove 'to' to match everything",
                "4:61: entry of 'to' has no 'operation'; add it",
            ],
            id="empty parts",
        ),
        pytest.param(
            "{rules: [{from: [{source: {principals: []}}]}]}",
            ["4:46: an empty list is no condition; name a value, or remove the key"],
            id="an empty condition",
        ),
        pytest.param(
            "{rules: [{from: [{source: {principals: ['']}}]}]}",
            ["4:47: expected some text, found nothing; write a value or remove the key"],
            id="an empty value",
        ),
        pytest.param(
            "{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}",
            [
                "4:33: serviceAccounts excludes principals and namespaces; "
                "an account names its namespace: namespace/name"
            ],
            id="two ways to say who",
        ),
        pytest.param(
            "{rules: [{to: [{operation: {ports: [http], paths: [admin]}}]}]}",
            [
                "4:43: expected a whole number from 1 to 65535, found 'http'",
                "4:58: path 'admin' matches no request; paths begin with '/': write '/admin'",
            ],
            id="an operation",
        ),
        pytest.param(
            "{rules: [{when: [{key: source.ips, values: [a]}, {key: source.ip}, "
            "{key: 'request.headers[]', values: [a]}]}]}",
            [
                "4:30: unknown attribute 'source.ips'; did you mean 'source.ip'?",
                "4:56: a condition needs values; add 'values' or 'notValues'",
                "4:80: key 'request.headers[]' names nothing; write request.headers[name]",
            ],
            id="conditions",
        ),
        pytest.param(
            "{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: x}]}",
            ["4:7: selector and targetRefs exclude each other; select workloads, or name targets"],
            id="a selector and targets",
        ),
        pytest.param(
            "{targetRef: {kind: Service, name: x}, targetRefs: [{kind: Service, name: x}]}",
            ["4:7: targetRef and targetRefs exclude each other; put all into targetRefs"],
            id="targets twice",
        ),
        pytest.param(
            "{targetRefs: [{kind: Sevice, name: x}, {kind: Gateway, name: x}]}",
            [
                "4:21: a policy cannot target a Sevice; did you mean 'Service'?",
                "4:46: kind Gateway is not of group ''; write group: 'gateway.networking.k8s.io'",
            ],
            id="targets",
        ),
        pytest.param(
            "{action: CUSTOM, rules: [{}]}", ["4:7: action CUSTOM needs a provider; add provider.name"], id="c"
        ),
        pytest.param(
            "{provider: {name: x}}", ["4:7: action ALLOW takes no provider; remove 'provider', or use CUSTOM"], id="p"
        ),
    ],
)
def test_what_is_wrong_with_an_authorization_policy(spec: str, expected: list[str]) -> None:
    assert faults(HEAD.format("AuthorizationPolicy", f"spec: {spec}")) == expected


def test_request_authentications() -> None:
    spec = """spec:
  targetRefs: [{kind: Service, name: web, group: ""}]
  jwtRules:
  - issuer: https://issuer.example
    audiences: [a]
    jwksUri: https://issuer.example/keys
    fromHeaders: [{name: x-token, prefix: "Bearer "}]
    fromParams: [token]
    fromCookies: [session]
    outputPayloadToHeader: x-payload
    outputClaimToHeaders: [{header: x-sub, claim: sub}]
    forwardOriginalToken: true
    timeout: 2.5s
  - {issuer: b, jwks: '{"keys": []}'}
"""
    first = JwtRule(
        "https://issuer.example",
        ("a",),
        "https://issuer.example/keys",
        "",
        (TokenHeader("x-token", "Bearer "),),
        ("token",),
        ("session",),
        "x-payload",
        (ClaimHeader("x-sub", "sub"),),
        True,
        2.5,
    )
    expected = RequestAuthentication(SHOP, None, (SERVICE,), (first, JwtRule("b", jwks='{"keys": []}')))
    assert read(RequestAuthentication, HEAD.format("RequestAuthentication", spec)) == expected


def test_what_is_wrong_with_a_request_authentication() -> None:
    spec = "spec: {jwtRules: [{issuer: a, jwksUri: ftp://x}, {issuer: b, jwksUri: http://x, jwks: y, timeout: 5}, {}]}"
    assert faults(HEAD.format("RequestAuthentication", spec)) == [
        "4:40: 'ftp://x' is no address of a key set; write https://host/path",
        "4:99: '5' is not a duration (such as 5s, 250ms or 1h30m)",
        "4:103: JWT rule has no 'issuer'; add it",
    ]
