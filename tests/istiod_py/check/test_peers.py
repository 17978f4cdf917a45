"""Mutual TLS: ports that are not there, and callers that cannot speak it."""

from __future__ import annotations

import pytest

from tests.support.checks import findings

HEAD = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: shop}\n"
WEB = "selector: {matchLabels: {app: web}}"
PLAIN = """\
---
apiVersion: v1
kind: Namespace
metadata: {name: plain}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: plain}
spec: {containers: []}
"""


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("{mtls: {mode: STRICT}}", [], id="everybody has a proxy"),
        pytest.param(f"{{{WEB}, portLevelMtls: {{8080: {{mode: STRICT}}}}}}", [], id="a port that is there"),
        pytest.param(
            f"{{{WEB}, portLevelMtls: {{80: {{mode: STRICT}}}}}}",
            [
                "1:1: warning HM314: PeerAuthentication shop/p has a mode for port 80, which no selected pod has; "
                "a service's port 80 leads to 8080: write that"
            ],
            id="a port of the service",
        ),
        pytest.param(
            f"{{{WEB}, portLevelMtls: {{9090: {{mode: STRICT}}}}}}",
            [
                "1:1: warning HM314: PeerAuthentication shop/p has a mode for port 9090, which no selected pod has; "
                "pods have 8080"
            ],
            id="a port of nobody",
        ),
        pytest.param(
            "{selector: {matchLabels: {app: wbe}}}",
            [
                "1:1: warning HM303: PeerAuthentication shop/p selects app=wbe, which nothing in the namespace has; "
                "app: did you mean 'web'?"
            ],
            id="nobody is selected",
        ),
    ],
)
def test_ports(spec: str, expected: list[str]) -> None:
    assert findings(f"{HEAD}spec: {spec}\n") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            f"{HEAD}spec: {{mtls: {{mode: STRICT}}}}\n{PLAIN}",
            [
                "1:1: warning HM315: PeerAuthentication shop/p requires mutual TLS, which 1 pods without a proxy "
                "cannot "
                "speak; such as plain/old; take them into the mesh, or write PERMISSIVE"
            ],
            id="a plain client",
        ),
        pytest.param(f"{HEAD}spec: {{mtls: {{mode: PERMISSIVE}}}}\n{PLAIN}", [], id="a plain client that may"),
        pytest.param(
            f"{HEAD.replace('shop', 'plain')}spec: {{mtls: {{mode: STRICT}}}}\n{PLAIN}",
            [
                "1:1: warning HM317: PeerAuthentication plain/p requires mutual TLS of 1 pods, none of which has a "
                "proxy; "
                "label their namespace with istio.io/dataplane-mode: ambient"
            ],
            id="nobody enforces it",
        ),
    ],
)
def test_plain_clients(text: str, expected: list[str]) -> None:
    assert findings(text) == expected
