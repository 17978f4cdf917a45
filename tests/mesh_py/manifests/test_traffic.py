"""DestinationRules of a file: every key, and what is wrong with one."""

from __future__ import annotations

import pytest

from mesh_py.discovery.problems import ConfigError
from mesh_py.manifests.proxy_file import further_of, read_proxy_file
from mesh_py.manifests.traffic import Balancing, ConnectionPool, ConsistentHash, DestinationRule, OutlierDetection

RULE = """\
manifests:
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {{name: cart, namespace: shop}}
  spec: {spec}
"""


def rule(spec: str) -> DestinationRule:
    [found] = further_of(read_proxy_file(RULE.format(spec=spec), "mesh.yaml")).traffic
    return found


def test_every_key() -> None:
    found = rule(
        "{host: cart, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, connectionPool: {tcp: {maxConnections: 3}, "
        "http: {http1MaxPendingRequests: 4, http2MaxRequests: 5, maxRetries: 0, maxRequestsPerConnection: 7}}, "
        "outlierDetection: {consecutive5xxErrors: 2, consecutiveGatewayErrors: 3, interval: 1s, baseEjectionTime: 2m, "
        "maxEjectionPercent: 50}}}"
    )
    assert found.metadata.key == "shop/cart"
    assert (found.host, found.balancing, found.hash) == ("cart", Balancing.ROUND_ROBIN, None)
    assert found.pool == ConnectionPool(3, 4, 5, 0, 7)
    assert found.outliers == OutlierDetection(2, 3, 1.0, 120.0, 50)


def test_the_least() -> None:
    found = rule("{host: cart.shop.svc.cluster.local}")
    assert (found.balancing, found.pool, found.outliers) == (Balancing.UNSPECIFIED, ConnectionPool(), None)


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
    assert rule(f"{{host: a, trafficPolicy: {{loadBalancer: {{consistentHash: {{{by}}}}}}}}}").hash == expected


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        pytest.param("{}", "host", id="no host"),
        pytest.param("{host: a, subsets: []}", "unknown key 'subsets'", id="subsets"),
        pytest.param("{host: a, trafficPolicy: {tls: {}}}", "unknown key 'tls'", id="TLS"),
        pytest.param("{host: a, trafficPolicy: {loadBalancer: {simple: BEST}}}", "BEST", id="a word nobody knows"),
        pytest.param("{host: a, trafficPolicy: {loadBalancer: {consistentHash: {}}}}", "by one thing", id="no hash"),
    ],
)
def test_what_is_not_kept_is_refused(spec: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rule(spec)
    assert complaint in str(caught.value)
