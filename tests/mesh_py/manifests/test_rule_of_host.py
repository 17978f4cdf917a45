"""Which rule is followed for a service: whose namespace, which host, and what of two for one host."""

from __future__ import annotations

import pytest

from mesh_py.manifests.client_tls import ClientTls, TlsMode
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.rule_of_host import Client, find_rule
from mesh_py.manifests.traffic import Balancing, DestinationRule, LoadBalancer, Subset, TrafficPolicy
from tests.support.world import service

HOST = "web.default.svc.cluster.local"
CLIENT = Client("front", {"app": "shop", "tier": "one"}, "istio-system")
SHOP = {"app": "shop"}
RANDOM = TrafficPolicy(LoadBalancer(Balancing.RANDOM))


def rule(name: str, host: str = HOST, order: int = 0, **more: object) -> DestinationRule:
    namespace, _, own = name.partition("/")
    return DestinationRule(Metadata(own, namespace, order=order), host, **more)  # type: ignore[arg-type]


def found(*rules: DestinationRule) -> str:
    one = find_rule(rules, service(HOST), "cluster.local", CLIENT)
    return "" if one is None else one.metadata.key


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([], "", id="none"),
        pytest.param([rule("far/a")], "", id="another namespace's"),
        pytest.param([rule("istio-system/a")], "istio-system/a", id="the root's"),
        pytest.param([rule("istio-system/a"), rule("default/a")], "default/a", id="before it the service's"),
        pytest.param([rule("default/a"), rule("front/a")], "front/a", id="before it the client's"),
        pytest.param([rule("default/a", export_to=(".",))], "", id="one that clients do not see"),
        pytest.param([rule("default/a", "web")], "default/a", id="a short name in the service's namespace"),
        pytest.param([rule("front/a", "web")], "", id="a short name elsewhere means another"),
        pytest.param([rule("front/a", "web.default.svc")], "front/a", id="a longer name"),
        pytest.param([rule("front/a", "*.svc.cluster.local")], "front/a", id="a wildcard"),
        pytest.param([rule("front/a", "*.local"), rule("front/b", "*.svc.cluster.local")], "front/b", id="the longer"),
        pytest.param([rule("front/a", "*.default.svc.cluster.local"), rule("front/b")], "front/b", id="a name wins"),
        pytest.param([rule("front/a", "*.local"), rule("default/b")], "front/a", id="whose namespace comes first"),
        pytest.param([rule("front/a"), rule("front/b", selector=SHOP)], "front/b", id="who is selected first"),
        pytest.param([rule("front/a"), rule("front/b", selector={"app": "x"})], "front/a", id="who is not selected"),
        pytest.param([rule("default/a", selector=SHOP)], "", id="selectors are for their own namespace"),
    ],
)
def test_which_rule(rules: list[DestinationRule], expected: str) -> None:
    assert found(*rules) == expected


def test_two_for_one_host_are_one() -> None:
    older = rule("default/a", subsets=(Subset("v1", {"v": "1"}),))
    younger = rule("default/b", "web", 1, policy=RANDOM, subsets=(Subset("v1", {"v": "x"}), Subset("v2", {"v": "2"})))
    one = find_rule([younger, older], service(HOST), "cluster.local", CLIENT)
    assert one is not None
    assert one.policy == RANDOM
    assert one.subsets == (Subset("v1", {"v": "1"}), Subset("v2", {"v": "2"}))


TLS = ClientTls(TlsMode.MUTUAL, credential_name="secret")
SECRET = TrafficPolicy(tls=TLS, ports=((80, TrafficPolicy(tls=TLS)),))


@pytest.mark.parametrize(
    ("name", "selector", "is_gateway", "is_told"),
    [
        pytest.param("front/a", SHOP, False, True, id="a sidecar that is selected"),
        pytest.param("front/a", {}, False, False, id="a sidecar that is not"),
        pytest.param("default/a", {}, False, False, id="a sidecar, by the service's namespace"),
        pytest.param("istio-system/a", {}, False, False, id="a sidecar, by the root's"),
        pytest.param("front/a", {}, True, True, id="a waypoint"),
        pytest.param("default/a", {}, True, False, id="a waypoint, by the service's namespace"),
    ],
)
def test_who_may_name_secrets_of_a_client(name: str, selector: dict[str, str], is_gateway: bool, is_told: bool) -> None:
    written = rule(name, policy=SECRET, subsets=(Subset("v1", policy=SECRET),), selector=selector)
    one = find_rule([written], service(HOST), "cluster.local", CLIENT._replace(is_gateway=is_gateway))
    assert one is not None
    held = [one.policy_of(*at).tls for at in ((80,), (81,), (80, "v1"), (81, "v1"))]
    assert [tls is not None and not tls.is_withheld for tls in held] == [is_told] * 4


def test_files_are_no_secrets() -> None:
    tls = ClientTls(TlsMode.SIMPLE, "/etc/root.crt")
    one = find_rule([rule("default/a", policy=TrafficPolicy(tls=tls))], service(HOST), "cluster.local", CLIENT)
    assert one is not None
    assert one.policy.tls == tls
