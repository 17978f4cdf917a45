"""DestinationRules as they are written: every key, what has no effect, and what is wrong with one."""

from __future__ import annotations

import pytest

from mesh_py.discovery.problems import ConfigError
from mesh_py.manifests.client_tls import ClientTls, TlsMode
from mesh_py.manifests.reader import scan
from mesh_py.manifests.traffic import (
    NO_POLICY,
    Balancing,
    ConnectionPool,
    ConsistentHash,
    DestinationRule,
    H2Upgrade,
    Keepalive,
    LoadBalancer,
    LocalitySetting,
    OutlierDetection,
    Share,
    Subset,
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
    ClientTls(TlsMode.DISABLE),
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
        pytest.param("{host: a, trafficPolicy: {tunnel: {}}}", "tunnel", id="a section"),
        pytest.param(
            "{host: a, trafficPolicy: {outlierDetection: {consecutiveErrors: 3}}}", "consecutiveErrors", id="a key"
        ),
    ],
)
def test_what_has_no_effect_is_told(spec: str, key: str) -> None:
    found = scan(RULE.format(spec=spec), "f.yaml")
    assert [problem.what for problem in found.warnings] == [f"{key!r} has no effect"]
    assert len(found.sound().objects) == 1


def policy(sections: str) -> tuple[TrafficPolicy, list[str]]:
    """A policy, and the keys that our own proxies do not follow."""
    found = scan(RULE.format(spec=f"{{host: a, trafficPolicy: {{{sections}}}}}"), "f.yaml")
    [one] = found.sound().objects
    assert isinstance(one, DestinationRule)
    keys = [warning.what.removesuffix(" has no effect in our proxies").strip("'") for warning in found.warnings]
    return one.policy, keys


@pytest.mark.parametrize(
    ("sections", "expected", "keys"),
    [
        pytest.param(
            "loadBalancer: {simple: PASSTHROUGH}",
            TrafficPolicy(LoadBalancer(Balancing.PASSTHROUGH)),
            ["PASSTHROUGH"],
            id="a value",
        ),
        pytest.param(
            "loadBalancer: {warmupDurationSecs: 3s, consistentHash: {httpCookie: {name: u, path: /, ttl: 2s}}}",
            TrafficPolicy(LoadBalancer(hash=ConsistentHash(cookie="u", cookie_path="/", cookie_ttl=2.0), warmup=3.0)),
            ["warmupDurationSecs"],
            id="a cookie",
        ),
        pytest.param(
            "loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 9}}}",
            TrafficPolicy(LoadBalancer(hash=ConsistentHash(source_ip=True, ring_size=9))),
            ["ringHash"],
            id="a ring",
        ),
        pytest.param(
            "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 101}}}",
            TrafficPolicy(LoadBalancer(hash=ConsistentHash(source_ip=True, is_maglev=True, table_size=101))),
            ["maglev"],
            id="Maglev",
        ),
        pytest.param(
            "connectionPool: {tcp: {tcpKeepalive: {probes: 3, time: 1m, interval: 5s}, idleTimeout: 2s, "
            "maxConnectionDuration: 1h}, "
            "http: {h2UpgradePolicy: UPGRADE, useClientProtocol: false, maxConcurrentStreams: 8}}",
            TrafficPolicy(
                pool=ConnectionPool(
                    tcp_idle_timeout=2.0,
                    max_connection_duration=3600.0,
                    keepalive=Keepalive(3, 60.0, 5.0),
                    h2_upgrade=H2Upgrade.UPGRADE,
                    max_concurrent_streams=8,
                )
            ),
            [
                "tcpKeepalive",
                "idleTimeout",
                "maxConnectionDuration",
            ],
            id="a pool",
        ),
        pytest.param(
            "outlierDetection: {splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2}",
            TrafficPolicy(outliers=OutlierDetection(splits_local_errors=True, consecutive_local_failures=2)),
            ["splitExternalLocalOriginErrors", "consecutiveLocalOriginFailures"],
            id="outliers",
        ),
    ],
)
def test_what_only_envoys_follow(sections: str, expected: TrafficPolicy, keys: list[str]) -> None:
    assert policy(sections) == (expected, keys)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("mode: SIMPLE, sni: b", ClientTls(TlsMode.SIMPLE, sni="b"), id="roots of the system"),
        pytest.param(
            "mode: MUTUAL, caCertificates: /ca, clientCertificate: /c, privateKey: /k, subjectAltNames: [x], caCrl: /r",
            ClientTls(TlsMode.MUTUAL, "/ca", "/c", "/k", subject_alt_names=("x",), crl="/r"),
            id="everything",
        ),
        pytest.param(
            "mode: SIMPLE, credentialName: kubernetes://s, insecureSkipVerify: true",
            ClientTls(TlsMode.SIMPLE, credential_name="s", insecure_skip_verify=True),
            id="a Secret",
        ),
    ],
)
def test_tls(text: str, expected: ClientTls) -> None:
    assert policy(f"tls: {{{text}}}") == (TrafficPolicy(tls=expected), [])


def test_a_rule_for_some_clients() -> None:
    assert rule("{host: a, workloadSelector: {matchLabels: {app: b}}}").selector == {"app": "b"}


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        pytest.param("{}", "host", id="no host"),
        pytest.param("{host: a, subset: []}", "unknown key 'subset'", id="a slip"),
        pytest.param("{host: a, trafficPolicy: {loadBalancer: {simple: BEST}}}", "BEST", id="a word nobody knows"),
        pytest.param("{host: a, trafficPolicy: {loadBalancer: {consistentHash: {}}}}", "by one thing", id="no hash"),
        pytest.param("{host: a, trafficPolicy: {tls: {}}}", "mode", id="no mode"),
        pytest.param("{host: a, trafficPolicy: {tls: {mode: MUTUAL}}}", "without a certificate", id="nothing to show"),
        pytest.param(
            "{host: a, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /a, credentialName: b}}}",
            "contradict each other",
            id="files and a Secret",
        ),
        pytest.param(
            "{host: a, trafficPolicy: {tls: {mode: SIMPLE, credentialName: ../a}}}", "no name of a Secret", id="a path"
        ),
        pytest.param(
            "{host: a, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, caCertificates: /a}}}", "the mesh's own", id="no files"
        ),
        pytest.param(
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {}, maglev: {}}}}}",
            "a ring or a Maglev",
            id="two hashes",
        ),
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
