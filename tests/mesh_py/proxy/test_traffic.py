"""What a policy says of one cluster, in the terms of those who do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.http.balancing import Policy
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest
from mesh_py.manifests.client_tls import ClientTls, TlsMode
from mesh_py.manifests.traffic import (
    NO_POLICY,
    Balancing,
    ConnectionPool,
    ConsistentHash,
    H2Upgrade,
    LoadBalancer,
    TrafficPolicy,
)
from mesh_py.proxy.traffic import Traffic

if TYPE_CHECKING:
    from mesh_py.http.messages import Version

IDLE = 60.0


def test_without_a_policy_there_is_no_limit_but_our_own() -> None:
    traffic = Traffic.of(NO_POLICY, IDLE)
    assert (traffic.policy, traffic.outliers, traffic.tls_mode, traffic.pool.idle) == (
        Policy.LEAST_REQUEST,
        None,
        None,
        IDLE,
    )
    assert (traffic.pool.connections, traffic.pool.streams) == (1024, 100)


def test_a_pool_bounds_connections() -> None:
    pool = ConnectionPool(3, 4, 5, 6, 7, 2.0, 9.0, max_concurrent_streams=8)
    traffic = Traffic.of(TrafficPolicy(pool=pool), IDLE)
    found = traffic.pool
    assert (found.connections, found.waiting, found.calls_per_connection, found.idle) == (3, 4, 7, 9.0)
    assert (found.connect, found.streams) == (2.0, 8)


@pytest.mark.parametrize(
    ("balancer", "expected"),
    [
        (LoadBalancer(Balancing.RANDOM), Policy.RANDOM),
        (LoadBalancer(Balancing.PASSTHROUGH), Policy.LEAST_REQUEST),
        (LoadBalancer(hash=ConsistentHash(header="x")), Policy.CONSISTENT_HASH),
    ],
)
def test_balancing(balancer: LoadBalancer, expected: Policy) -> None:
    assert Traffic.of(TrafficPolicy(balancer), IDLE).policy is expected


@pytest.mark.parametrize(("mode", "is_begun"), [("DISABLE", False), ("SIMPLE", True), ("ISTIO_MUTUAL", False)])
def test_tls_that_we_begin(mode: str, is_begun: bool) -> None:
    tls = ClientTls(TlsMode(mode))
    assert Traffic.of(TrafficPolicy(tls=tls), IDLE).originated == (tls if is_begun else None)


@pytest.mark.parametrize(
    ("pool", "version", "protocol", "expected"),
    [
        pytest.param(ConnectionPool(), "HTTP/2", "", None, id="nothing is said"),
        pytest.param(ConnectionPool(h2_upgrade=H2Upgrade.UPGRADE), "HTTP/1.1", "", True, id="upgraded"),
        pytest.param(
            ConnectionPool(h2_upgrade=H2Upgrade.UPGRADE), "HTTP/1.1", "websocket", None, id="to something else"
        ),
        pytest.param(ConnectionPool(h2_upgrade=H2Upgrade.DO_NOT_UPGRADE), "HTTP/1.1", "", None, id="not upgraded"),
        pytest.param(ConnectionPool(use_client_protocol=True), "HTTP/1.1", "", False, id="as the client"),
        pytest.param(
            ConnectionPool(h2_upgrade=H2Upgrade.UPGRADE, use_client_protocol=True),
            "HTTP/2",
            "",
            True,
            id="its HTTP/2",
        ),
    ],
)
def test_in_which_version_requests_go_on(
    pool: ConnectionPool, version: Version, protocol: str, expected: bool | None
) -> None:
    request = HttpRequest("GET", "/", "web", Headers(), version=version, protocol=protocol)
    assert Traffic.of(TrafficPolicy(pool=pool), IDLE).is_http2(request) is expected
