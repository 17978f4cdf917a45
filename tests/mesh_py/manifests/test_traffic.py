"""How a DestinationRule's policies lie over each other, for a port and a subset, as Istio merges them."""

from __future__ import annotations

import pytest

from mesh_py.manifests.client_tls import ClientTls, TlsMode
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.traffic import (
    Balancing,
    ConnectionPool,
    DestinationRule,
    LoadBalancer,
    OutlierDetection,
    Subset,
    TrafficPolicy,
)

RANDOM, ROUND = LoadBalancer(Balancing.RANDOM), LoadBalancer(Balancing.ROUND_ROBIN)
POOL, OTHER_POOL = ConnectionPool(1), ConnectionPool(2)
OUTLIERS = OutlierDetection(1)
PLAIN = ClientTls(TlsMode.DISABLE)

RULE = DestinationRule(
    Metadata("web", "shop"),
    "web",
    TrafficPolicy(RANDOM, POOL, OUTLIERS, ports=((81, TrafficPolicy(ROUND)),)),
    (
        Subset("plain"),
        Subset("own", policy=TrafficPolicy(pool=OTHER_POOL, tls=PLAIN)),
        Subset("ports", policy=TrafficPolicy(ROUND, ports=((80, TrafficPolicy(pool=OTHER_POOL)),))),
    ),
)


@pytest.mark.parametrize(
    ("port", "subset", "expected"),
    [
        pytest.param(80, "", TrafficPolicy(RANDOM, POOL, OUTLIERS), id="the host's"),
        pytest.param(81, "", TrafficPolicy(ROUND), id="a port's alone"),
        pytest.param(80, "plain", TrafficPolicy(RANDOM, POOL, OUTLIERS), id="a subset that says nothing"),
        pytest.param(81, "plain", TrafficPolicy(ROUND), id="the same on a port that says something"),
        pytest.param(80, "own", TrafficPolicy(RANDOM, OTHER_POOL, OUTLIERS, PLAIN), id="each section of a subset"),
        pytest.param(81, "own", TrafficPolicy(ROUND, OTHER_POOL, None, PLAIN), id="over a port's"),
        pytest.param(80, "ports", TrafficPolicy(pool=OTHER_POOL), id="a subset's port alone"),
        pytest.param(82, "ports", TrafficPolicy(ROUND, POOL, OUTLIERS), id="another port of it"),
    ],
)
def test_what_holds(port: int, subset: str, expected: TrafficPolicy) -> None:
    assert RULE.policy_of(port, subset) == expected


@pytest.mark.parametrize(
    ("export_to", "namespace", "expected"),
    [((), "far", True), (("*",), "far", True), ((".",), "far", False), ((".",), "shop", True), (("far",), "far", True)],
)
def test_who_sees_it(export_to: tuple[str, ...], namespace: str, expected: bool) -> None:
    assert DestinationRule(Metadata("web", "shop"), "web", export_to=export_to).is_visible_to(namespace) is expected
