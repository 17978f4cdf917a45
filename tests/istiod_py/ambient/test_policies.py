"""All policies, and which of them a workload lists (hbone-controlplane 4.2, 4.7)."""

from __future__ import annotations

import pytest

from istiod_py.ambient.options import AmbientOptions
from mesh_py.manifests.security import Action as Written
from mesh_py.manifests.security import AuthorizationPolicy
from mesh_py.model.authorization import Action, Match, MatchKind, StringMatch
from tests.istiod_py.ambient.folder import (
    ROOT,
    authorization,
    codes,
    mesh,
    namespace,
    peers,
    pod,
    service,
    the_pod,
    waypoint,
)

WEB = {"app": "web"}
ALLOWING = AmbientOptions(allow_waypoints=True)
STATIC = "istio-system/istio_converted_static_strict"


@pytest.mark.parametrize(
    ("policy", "listed"),
    [
        pytest.param(authorization("p", selector=WEB), ("shop/p",), id="its own namespace"),
        pytest.param(authorization("p", selector=WEB, namespace=ROOT), ("istio-system/p",), id="the root namespace"),
        pytest.param(authorization("p", selector=WEB, namespace="other"), (), id="another namespace"),
        pytest.param(authorization("p", selector={"app": "db"}), (), id="another workload"),
        pytest.param(authorization("p"), (), id="the whole namespace: sent, never listed"),
        pytest.param(authorization("p", namespace=ROOT), (), id="the whole mesh: sent, never listed"),
        pytest.param(authorization("p", selector=WEB, action=Written.CUSTOM), (), id="not sent, so not listed"),
    ],
)
def test_policies_are_listed_by_the_workloads_they_select(policy: AuthorizationPolicy, listed: tuple[str, ...]) -> None:
    assert the_pod(mesh(policy, pod(labels=WEB))).authorization_policies == listed


def test_policies_of_both_namespaces_come_sorted_and_peer_authentication_last() -> None:
    told = mesh(
        peers(mode="STRICT"), authorization("b", selector=WEB), authorization("a", selector=WEB, namespace=ROOT),
        authorization("a", selector=WEB), pod(labels=WEB),
    )  # fmt: skip
    assert the_pod(told).authorization_policies == ("istio-system/a", "shop/a", "shop/b", STATIC)


def test_a_pod_in_the_root_namespace_lists_a_policy_once() -> None:
    told = mesh(authorization("a", selector=WEB, namespace=ROOT), pod(labels=WEB, namespace=ROOT))
    assert the_pod(told, namespace=ROOT).authorization_policies == ("istio-system/a",)


def test_what_is_wrong_with_policies_is_told() -> None:
    assert codes(mesh(authorization(action=Written.AUDIT))) == ["policy-not-sent"]


# PILOT_AUTO_ALLOW_WAYPOINT_POLICY

INSTANCES = [
    pod(f"wp-{account}", labels={"gateway.networking.k8s.io/gateway-name": "wp"}, service_account_name=account)
    for account in ("wp-b", "wp-a")
]
BEHIND = namespace(labels={"istio.io/use-waypoint": "wp"})
ALLOW = "shop/istio_allow_waypoint_shop_wp"


def test_waypoints_are_let_through_where_that_is_switched_on() -> None:
    told = mesh(BEHIND, waypoint(), *INSTANCES, service(), pod(labels=WEB), pod("alone"), options=ALLOWING)
    policy = told.policies[ALLOW]
    principals = [f"cluster.local/ns/shop/sa/{account}" for account in ("wp-a", "wp-b")]
    assert policy.action is Action.ALLOW
    assert policy.rules == (((Match(principals=tuple(StringMatch(MatchKind.EXACT, one) for one in principals)),),),)
    assert the_pod(told).authorization_policies == (ALLOW,)
    assert the_pod(told, "alone").authorization_policies == ()
    assert the_pod(told, "wp-wp-a").authorization_policies == ()


def test_a_waypoint_of_the_workload_itself_is_let_through_too() -> None:
    gateway = waypoint(labels={"istio.io/waypoint-for": "all"})
    told = mesh(BEHIND, gateway, *INSTANCES, service(), pod(labels=WEB), pod("alone"), options=ALLOWING)
    assert the_pod(told).authorization_policies == (ALLOW,)
    assert the_pod(told, "alone").authorization_policies == (ALLOW,)


def test_a_second_waypoint_is_let_through_too() -> None:
    second = pod("second-1", labels={"gateway.networking.k8s.io/gateway-name": "second"}, service_account_name="second")
    split = service(labels={"istio.io/use-waypoint": "wp", "istio.io/use-waypoint-canary": "second"})
    told = mesh(waypoint(), waypoint("second"), *INSTANCES, second, split, pod(labels=WEB), options=ALLOWING)
    assert the_pod(told).authorization_policies == ("shop/istio_allow_waypoint_shop_second", ALLOW)


def test_a_waypoint_without_pods_lets_nobody_through() -> None:
    told = mesh(BEHIND, waypoint(), service(), pod(labels=WEB), options=ALLOWING)
    assert told.policies == {}
    assert the_pod(told).authorization_policies == ()


def test_waypoints_are_not_let_through_otherwise() -> None:
    assert mesh(BEHIND, waypoint(), *INSTANCES, service(), pod(labels=WEB)).policies == {}
