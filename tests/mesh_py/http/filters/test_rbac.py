"""Policies as a filter; which verdict is given is in test_http_rbac."""

from __future__ import annotations

import pytest

from mesh_py.http.errors import AccessDenied
from mesh_py.http.filters.base import CONTINUE, Ask
from mesh_py.http.filters.rbac import Rbac
from mesh_py.http.http_rbac import HttpPolicies
from mesh_py.http.messages import HttpResponse
from tests.mesh_py.http.filters.streams import stream
from tests.mesh_py.http.policies import STRANGER, policy
from tests.mesh_py.http.routes import request

SLEEP_ONLY = policy("rules: [{from: [{source: {serviceAccounts: [sleep]}}], to: [{operation: {ports: ['8080']}}]}]")
CLAIM = policy('rules: [{when: [{key: "request.auth.claims[role]", values: [admin]}]}]')
ASKED = policy("{action: CUSTOM, provider: {name: authz}, rules: [{}]}", "asked")
AUDIT = policy("{action: AUDIT, rules: [{}]}", "audit")


def test_who_may_passes() -> None:
    rbac = Rbac(HttpPolicies([SLEEP_ONLY]))
    info = stream()
    assert rbac.on_request(request(), info) is CONTINUE
    rbac.on_response(HttpResponse(200), info)


def test_who_may_not_is_403_and_the_log_says_why() -> None:
    info = stream(identity=STRANGER)
    with pytest.raises(AccessDenied):
        Rbac(HttpPolicies([SLEEP_ONLY])).on_request(request(), info)
    assert info.details == "rbac_access_denied_matched_policy[none]"


def test_it_judges_by_what_the_token_said() -> None:
    rbac = Rbac(HttpPolicies([CLAIM]))
    info = stream()
    info.claims = {"role": "admin"}
    assert rbac.on_request(request(), info) is CONTINUE
    info.claims = {"role": "user"}
    with pytest.raises(AccessDenied):
        rbac.on_request(request(), info)


def test_it_says_whom_to_ask_and_what_to_note() -> None:
    info = stream()
    assert Rbac(HttpPolicies([ASKED, AUDIT])).on_request(request(), info) == Ask(("authz",))
    assert info.notes == ["audit: default/audit rule 0 matches"]


def test_without_policies_everybody_may() -> None:
    assert Rbac(HttpPolicies([])).on_request(request(), stream(identity=None)) is CONTINUE
