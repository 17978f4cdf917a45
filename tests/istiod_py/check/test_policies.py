"""Policies that match nothing, everything, or workloads that nobody guards."""

from __future__ import annotations

import pytest

from tests.support.checks import findings

POLICY = "apiVersion: security.istio.io/v1\nkind: {}\nmetadata: {{name: p, namespace: {}}}\nspec: {}\n"
PLAIN = """\
---
apiVersion: v1
kind: Namespace
metadata: {name: plain}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: plain, labels: {app: old}}
spec: {containers: []}
"""


def policy(spec: str, namespace: str = "shop", kind: str = "AuthorizationPolicy") -> str:
    return POLICY.format(kind, namespace, spec)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(policy("{rules: [{}]}"), [], id="everything is allowed"),
        pytest.param(
            policy("{}"),
            [
                "1:1: warning HM301: AuthorizationPolicy shop/p allows nothing, so it denies everything that no other "
                "policy allows; write 'rules: [{}]' to allow all; as a default to deny it is fine"
            ],
            id="nothing is allowed",
        ),
        pytest.param(
            policy("{action: DENY}"),
            [
                "1:1: warning HM302: AuthorizationPolicy shop/p has no rules, so DENY never happens; "
                "write 'rules: [{}]' to match all"
            ],
            id="nothing is denied",
        ),
        pytest.param(
            policy("{selector: {matchLabels: {app: wbe}}, rules: [{}]}"),
            [
                "1:1: warning HM303: AuthorizationPolicy shop/p selects app=wbe, which nothing in the namespace has; "
                "app: did you mean 'web'?"
            ],
            id="nobody is selected",
        ),
        pytest.param(
            policy("{selector: {matchLabels: {app: wbe}}, jwtRules: []}", kind="RequestAuthentication"),
            [
                "1:1: warning HM303: RequestAuthentication shop/p selects app=wbe, which nothing in the namespace has; "
                "app: did you mean 'web'?"
            ],
            id="nobody is selected for tokens",
        ),
        pytest.param(
            policy("{selector: {matchLabels: {app: web}}, rules: [{}]}", namespace="istio-system"),
            [],
            id="the root namespace selects in all",
        ),
        pytest.param(
            policy("{selector: {matchLabels: {app: old}}, rules: [{}]}", namespace="plain") + PLAIN,
            [
                "1:1: warning HM317: AuthorizationPolicy plain/p selects 1 workloads, none of which has a proxy; "
                "label their namespace with istio.io/dataplane-mode: ambient"
            ],
            id="nobody enforces it",
        ),
        pytest.param(
            policy("{selector: {matchLabels: {app: old}}, rules: [{}]}", namespace="plain")
            + PLAIN.replace("{app: old}", "{app: old, gateway.networking.k8s.io/gateway-name: front}"),
            [],
            id="a gateway is a proxy itself",
        ),
        pytest.param(
            policy("{jwtRules: [{issuer: a}]}", kind="RequestAuthentication"),
            [
                "1:1: warning HM317: RequestAuthentication shop/p is for workloads behind node proxies, which do not "
                "look "
                "at tokens; attach it to a service with a waypoint, by targetRefs"
            ],
            id="nobody looks at tokens",
        ),
    ],
)
def test_policies(text: str, expected: list[str]) -> None:
    assert findings(text) == expected


TOKENS = "{targetRefs: [{kind: Service, name: cart}], rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}"
CLAIMS = "{targetRefs: [{kind: Service, name: cart}], rules: [{when: [{key: request.auth.audiences, values: [a]}]}]}"
ACCEPTS = "---\n" + policy("{targetRefs: [{kind: Service, name: cart}], jwtRules: []}", kind="RequestAuthentication")


@pytest.mark.parametrize("spec", [TOKENS, CLAIMS])
def test_who_asks_for_tokens_must_say_which_are_taken(spec: str) -> None:
    [found] = findings(policy(spec), waypoint=True)
    assert "warning HM318: AuthorizationPolicy shop/p asks for tokens" in found
    assert findings(policy(spec) + ACCEPTS, waypoint=True) == []
