"""DestinationRules as they are written: every key, what has no effect, and what is wrong with one."""

from __future__ import annotations

import pytest

from mesh_py.discovery.problems import ConfigError
from mesh_py.manifests.reader import scan
from mesh_py.manifests.traffic import (
    NO_POLICY,
    Balancing,
    ConnectionPool,
    ConsistentHash,
    DestinationRule,
    LoadBalancer,
    LocalitySetting,
    OutlierDetection,
    Share,
    Subset,
    TlsMode,
    TrafficPolicy,
)

RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: cart, namespace: shop}}
spec: {spec}
"""

POLICY = (
    "{loadBalancer: {simple: ROUND_ROBIN}, "
    "connectionPool: {tcp: {maxConnections: 3, connectTimeout: 2s}, http: {http1MaxPendingRequests: 4, "
    "http2MaxRequests: 5, maxRetries: 0, maxRequestsPerConnection: 7, idleTimeout: 1m}}, "
    "outlierDetection: {consecutive5xxErrors: 2, consecutiveGatewayErrors: 3, interval: 1s, baseEjectionTime: 2m, "
    "maxEjectionPercent: 50, minHealthPercent: 40}, tls: {mode: DISABLE}}"
)
EVERYTHING = TrafficPolicy(
    LoadBalancer(Balancing.ROUND_ROBIN),
    ConnectionPool(3, 4, 5, 0, 7, 2.0, 60.0),
    OutlierDetection(2, 3, 1.0, 120.0, 50, 40),
    TlsMode.DISABLE,
)


def rule(spec: str) -> DestinationRule:
    [found] = scan(RULE.format(spec=spec), "f.yaml").sound().objects
    assert isinstance(found, DestinationRule)
    return found


def balancer(text: str) -> LoadBalancer | None:
    return rule(f"{{host: a, trafficPolicy: {{loadBalancer: {text}}}}}").policy.balancer


def test_every_section() -> None:
    found = rule(f"{{host: cart, trafficPolicy: {POLICY}, exportTo: ['.']}}")
    assert (found.metadata.key, found.host, found.policy) == ("shop/cart", "cart", EVERYTHING)
    assert found.export_to == (".",)


def test_subsets_and_ports() -> None:
    found = rule(
        "{host: cart, trafficPolicy: {portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}, "
        f"subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: all, trafficPolicy: {POLICY}}}]}}"
    )
    assert found.policy == TrafficPolicy(ports=((80, TrafficPolicy(LoadBalancer(Balancing.RANDOM))),))
    assert found.subsets == (Subset("v1", {"version": "v1"}), Subset("all", {}, EVERYTHING))


def test_the_least() -> None:
    found = rule("{host: cart.shop.svc.cluster.local}")
    assert (found.policy, found.subsets, found.export_to) == (NO_POLICY, (), ())


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        pytest.param("httpHeaderName: x-user", ConsistentHash(header="x-user"), id="header"),
        pytest.param("httpCookie: {name: user}", ConsistentHash(cookie="user"), id="cookie"),
        pytest.param("httpQueryParameterName: q", ConsistentHash(query_parameter="q"), id="parameter"),
        pytest.param("useSourceIp: true", ConsistentHash(source_ip=True), id="source"),
    ],
)
def test_consistent_hash(by: str, expected: ConsistentHash) -> None:
    assert balancer(f"{{consistentHash: {{{by}}}}}") == LoadBalancer(hash=expected)


def test_localities() -> None:
    found = balancer(
        "{localityLbSetting: {enabled: true, failover: [{from: eu, to: us}], "
        "distribute: [{from: eu/a/*, to: {eu/a/*: 80, eu/b/*: 20}}]}}"
    )
    shares = (Share("eu/a/*", 80), Share("eu/b/*", 20))
    assert found == LoadBalancer(locality=LocalitySetting(True, (("eu/a/*", shares),), (("eu", "us"),)))


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        pytest.param("{host: a, workloadSelector: {matchLabels: {a: b}}}", "workloadSelector", id="for some clients"),
        pytest.param("{host: a, trafficPolicy: {tunnel: {}}}", "tunnel", id="a section"),
        pytest.param("{host: a, trafficPolicy: {tls: {mode: SIMPLE, sni: b}}}", "sni", id="a key of a section"),
        pytest.param("{host: a, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}", "PASSTHROUGH", id="a value"),
    ],
)
def test_what_has_no_effect_is_told(spec: str, key: str) -> None:
    found = scan(RULE.format(spec=spec), "f.yaml")
    assert [problem.what for problem in found.warnings] == [f"{key!r} has no effect in our proxies"]
    assert len(found.sound().objects) == 1


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        pytest.param("{}", "host", id="no host"),
        pytest.param("{host: a, subset: []}", "unknown key 'subset'", id="a slip"),
        pytest.param("{host: a, trafficPolicy: {loadBalancer: {simple: BEST}}}", "BEST", id="a word nobody knows"),
        pytest.param("{host: a, trafficPolicy: {loadBalancer: {consistentHash: {}}}}", "by one thing", id="no hash"),
        pytest.param("{host: a, trafficPolicy: {tls: {}}}", "mode", id="no mode"),
        pytest.param("{host: a, subsets: [{name: v1}, {name: v1}]}", "'v1' is there twice", id="two of a name"),
        pytest.param("{host: a, subsets: [{labels: {a: b}}]}", "name", id="a subset without a name"),
        pytest.param(
            "{host: a, trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 9}}]}}}}",
            "100 together",
            id="shares of less than all",
        ),
    ],
)
def test_what_is_wrong(spec: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rule(spec)
    assert complaint in str(caught.value)
