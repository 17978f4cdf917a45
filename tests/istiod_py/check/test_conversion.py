"""The conversion's own remarks, under the linter's codes."""

from __future__ import annotations

import re

import pytest

from istiod_py.ambient.notices import Notice
from istiod_py.check import codes
from istiod_py.check.conversion import CODE_OF_NOTICE, of_notice
from mesh_py.manifests.metadata import Place
from tests.support.checks import findings
from tests.support.source_tree import ROOT

_NO_REMARKS = {"local-path-storage"}
POLICY = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: shop, labels: {}}}\n"
BACKEND = "spec: {selector: {app: web}, ports: [{port: 80}]}\n"


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        pytest.param(
            f"{POLICY}spec: {{rules: [{{}}, {{to: [{{operation: {{methods: [GET]}}}}]}}]}}\n",
            "HM307",
            "4:20",
            id="allows less",
        ),
        pytest.param(
            f"{POLICY}spec: {{action: DENY, rules: [{{to: [{{operation: {{methods: [GET], ports: [80]}}}}]}}]}}\n",
            "HM308",
            "4:30",
            id="denies more",
        ),
        pytest.param(
            f"{POLICY}spec: {{action: DENY, rules: [{{to: [{{operation: {{methods: [GET]}}}}]}}]}}\n",
            "HM309",
            "4:30",
            id="denies nothing",
        ),
        pytest.param(f"{POLICY}spec: {{action: AUDIT, rules: [{{}}]}}\n", "HM310", "1:1", id="not sent"),
        pytest.param(SERVICE.format("{istio.io/use-waypoint: wayp}") + BACKEND, "HM501", "1:1", id="no waypoint"),
        pytest.param(
            SERVICE.format("{istio.io/use-waypoint: waypoint, istio.io/use-waypoint-canary: waypoint}") + BACKEND,
            "HM508",
            "1:1",
            id="a canary that is the waypoint itself",
        ),
        pytest.param(
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: "
            "shop}\nspec: {}\n---\n"
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: q, namespace: "
            "shop}\nspec: {}\n",
            "HM316",
            "6:1",
            id="a younger one",
        ),
    ],
)
def test_remarks_of_the_conversion(text: str, code: str, place: str) -> None:
    [found] = findings(text, waypoint="use-waypoint: waypoint" in text)
    assert found.startswith(f"{place}: {codes.CODES[code].severity.value} {code}: ")


def test_a_remark_that_many_pods_share_is_told_once() -> None:
    text = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: many, namespace: shop}
spec:
  replicas: 5
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many, istio.io/use-waypoint: nowhere}}
    spec: {containers: []}
"""
    assert len(findings(text)) == 1


def test_every_remark_of_the_conversion_has_a_code() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "istiod_py/ambient").glob("*.py"))
    subjects = "endpoint|local|peer-authentication|policy|service|waypoint"
    written = set(re.findall(rf'"((?:{subjects})-[a-z-]+)"', sources))
    assert written - _NO_REMARKS <= set(CODE_OF_NOTICE)
    assert set(CODE_OF_NOTICE) <= written


def test_a_new_remark_is_told_under_a_code_for_others() -> None:
    found = of_notice(Notice(Place("f", 1, 1), "brand-new", "Pod a/b", "is odd"))
    assert found == codes.CONVERSION.at(Place("f", 1, 1), "Pod a/b: is odd")
