"""Callers that rules name."""

from __future__ import annotations

import pytest

from istiod_py.check.folder_check import CheckOptions, check_texts
from tests.support.checks import SOUND, findings

HEAD = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("{principals: [cluster.local/ns/shop/sa/web]}", [], id="a principal that is there"),
        pytest.param("{principals: ['*/sa/nobody'], namespaces: ['x*']}", [], id="wildcards"),
        pytest.param("{serviceAccounts: [web, shop/web, shop/default]}", [], id="accounts that are there"),
        pytest.param(
            "{namespaces: [shpo]}",
            [
                "warning HM311: AuthorizationPolicy shop/p names namespace shpo, in which there is nothing; "
                "did you mean 'shop'?"
            ],
            id="a namespace",
        ),
        pytest.param(
            "{serviceAccounts: [wbe]}",
            [
                "warning HM311: AuthorizationPolicy shop/p names service account shop/wbe, which is not there; "
                "did you mean 'web'?"
            ],
            id="an account",
        ),
        pytest.param(
            "{principals: [cluster.local/ns/shpo/sa/web]}",
            [
                "warning HM311: AuthorizationPolicy shop/p names service account shpo/web, which is not there; "
                "did you mean 'shop'?"
            ],
            id="a principal",
        ),
        pytest.param(
            "{principals: ['spiffe://cluster.local/ns/shop/sa/web']}",
            [
                "warning HM312: AuthorizationPolicy shop/p: principal 'spiffe://cluster.local/ns/shop/sa/web' never "
                "matches; "
                "write 'cluster.local/ns/shop/sa/web'"
            ],
            id="a principal with its scheme",
        ),
        pytest.param(
            "{principals: [example.com/ns/shop/sa/web]}",
            [
                "warning HM312: AuthorizationPolicy shop/p: principal 'example.com/ns/shop/sa/web' is of trust domain "
                "example.com, the mesh of cluster.local; write 'cluster.local/ns/shop/sa/web'"
            ],
            id="a principal of another trust domain",
        ),
        pytest.param(
            "{principals: [web]}",
            [
                "warning HM312: AuthorizationPolicy shop/p: principal 'web' is no identity; "
                "write 'cluster.local/ns/NAMESPACE/sa/ACCOUNT'"
            ],
            id="a principal that is none",
        ),
    ],
)
def test_callers(source: str, expected: list[str]) -> None:
    found = findings(f"{HEAD}spec: {{rules: [{{from: [{{source: {source}}}]}}]}}\n")
    assert [one.removeprefix("4:33: ") for one in found] == expected


def test_workloads_of_ztunnels_own_format_are_there_too() -> None:
    local = "workloads: [{uid: a, namespace: far, serviceAccount: vm, workloadIps: [10.9.9.9], services: {}}]"
    sources = "[{source: {namespaces: [far]}}, {source: {serviceAccounts: [far/vm]}}]"
    policy = f"{HEAD}spec: {{rules: [{{from: {sources}}}]}}\n"
    report = check_texts({"sound.yaml": SOUND, "local.yaml": local, "f.yaml": policy}, CheckOptions())
    assert [str(one) for one in report.findings] == []
