"""Services that lead nowhere."""

from __future__ import annotations

import pytest

from tests.support.checks import findings

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: shop}}\nspec: {}\n"
ENTRY = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: e, namespace: shop}}\nspec: {}\n"
POD = "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {}, namespace: shop, labels: {{app: mix}}}}\nspec: {}\n"
MIXED = POD.format("new", "{containers: [{ports: [{containerPort: 80, name: http}]}]}") + POD.format(
    "old", "{containers: [{ports: [{containerPort: 80}]}]}"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            SERVICE.format("{selector: {app: wbe}, ports: [{port: 80}]}"),
            [
                "1:1: warning HM201: Service shop/s selects app=wbe, which nothing in the namespace has; "
                "app: did you mean 'web'?"
            ],
            id="a selector",
        ),
        pytest.param(
            SERVICE.format("{selector: {app: web}, ports: [{port: 80, targetPort: htpp}]}"),
            ["4:38: error HM202: Service shop/s port 80 leads to port 'htpp', which no pod has; did you mean 'http'?"],
            id="a target port",
        ),
        pytest.param(
            SERVICE.format("{selector: {app: mix}, ports: [{port: 80, targetPort: http}]}") + MIXED,
            [
                "4:38: warning HM203: Service shop/s port 80 leads to port 'http', which 1 of 2 pods do not have; "
                "such as old"
            ],
            id="a target port of some",
        ),
        pytest.param(
            SERVICE.format("{selector: {app: web}}"),
            ["1:1: warning HM205: Service shop/s has no ports; add spec.ports"],
            id="no ports",
        ),
        pytest.param(SERVICE.format("{selector: {app: web}, clusterIP: None}"), [], id="no ports, headless"),
        pytest.param(SERVICE.format("{type: ExternalName, externalName: a.b}"), [], id="an alias"),
        pytest.param(
            SERVICE.format("{ports: [{port: 80}]}"),
            ["1:1: warning HM209: Service shop/s selects nothing and has no EndpointSlice; add a selector"],
            id="nothing behind it",
        ),
        pytest.param(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
            "metadata: {name: x, namespace: shop, labels: {kubernetes.io/service-name: wbe}}\naddressType: IPv4\n",
            [
                "1:1: warning HM204: EndpointSlice shop/x belongs to Service wbe, which is not there; "
                "did you mean 'web'?"
            ],
            id="a slice of nothing",
        ),
        pytest.param(
            ENTRY.format("{hosts: [a.b]}"),
            ["1:1: warning HM205: ServiceEntry shop/e has no ports; add spec.ports"],
            id="an entry without ports",
        ),
        pytest.param(
            ENTRY.format("{hosts: [a.b], ports: [{number: 80, name: http}], workloadSelector: {labels: {app: vm}}}"),
            [
                "1:1: warning HM201: ServiceEntry shop/e selects app=vm, which nothing in the namespace has; "
                "app: there are web"
            ],
            id="an entry that selects nothing",
        ),
        pytest.param(
            ENTRY.format("{hosts: [a.b], ports: [{number: 80, name: http}], workloadSelector: {labels: {app: web}}}"),
            [],
            id="an entry that selects pods",
        ),
        pytest.param(
            ENTRY.format("{hosts: [a.b], ports: [{number: 80, name: http}], resolution: STATIC}"),
            [
                "1:1: warning HM209: ServiceEntry shop/e is STATIC and has neither endpoints nor a selector; "
                "add one, or write resolution: DNS or NONE"
            ],
            id="an entry without endpoints",
        ),
        pytest.param(
            ENTRY.format("{hosts: ['*.a.b'], ports: [{number: 80, name: http}], resolution: DNS}"),
            [
                "1:1: error HM210: ServiceEntry shop/e: *.a.b is a wildcard, which DNS cannot resolve; "
                "write resolution: NONE or DYNAMIC_DNS, or name endpoints"
            ],
            id="a wildcard for DNS",
        ),
    ],
)
def test_services(text: str, expected: list[str]) -> None:
    assert findings(text) == expected
