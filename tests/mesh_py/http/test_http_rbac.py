"""Verdicts on requests: order of actions, dry runs, and what cannot be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py.identity import SpiffeId
from mesh_py.http.errors import AccessDenied
from mesh_py.http.http_rbac import HttpPolicies
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.security import Action, AuthorizationPolicy, Condition, Operation, Rule, Source
from tests.mesh_py.http.policies import SLEEP, STRANGER, facts, policy
from tests.mesh_py.http.routes import request

if TYPE_CHECKING:
    from mesh_py.http.rbac_facts import RequestFacts

ALLOW_GET = policy("rules: [{to: [{operation: {methods: [GET]}}]}]", "allow-get")
DENY_ADMIN = policy("{action: DENY, rules: [{to: [{operation: {paths: [/admin*]}}]}]}", "deny-admin")
ALLOW_NOTHING = policy("{}", "allow-nothing")
ALLOW_ALL = policy("rules: [{}]", "allow-all")
ASK = policy(
    "{action: CUSTOM, provider: {name: authz}, rules: [{to: [{operation: {paths: [/private*]}}]}]}", "ask-authz"
)
AUDIT = policy("{action: AUDIT, rules: [{to: [{operation: {paths: [/admin*]}}]}]}", "audit-admin")
DRY = ', annotations: {istio.io/dry-run: "true"}'
DRY_DENY = policy("{action: DENY, rules: [{}]}", "dry-deny", DRY)
DRY_ALLOW = policy("{}", "dry-allow", DRY)


@pytest.mark.parametrize(
    ("policies", "path", "method", "allowed", "decided"),
    [
        pytest.param([], "/", "GET", True, "", id="no policy"),
        pytest.param([ALLOW_NOTHING], "/", "GET", False, "", id="an ALLOW without rules"),
        pytest.param([ALLOW_ALL], "/", "GET", True, "default/allow-all", id="a rule without fields"),
        pytest.param([ALLOW_GET], "/", "GET", True, "default/allow-get", id="ALLOW matches"),
        pytest.param([ALLOW_GET], "/", "POST", False, "", id="ALLOW does not match"),
        pytest.param([ALLOW_GET, ALLOW_ALL], "/", "POST", True, "default/allow-all", id="another ALLOW matches"),
        pytest.param([DENY_ADMIN], "/", "POST", True, "", id="only DENY, which does not match"),
        pytest.param([DENY_ADMIN], "/admin/x", "GET", False, "default/deny-admin", id="DENY matches"),
        pytest.param([ALLOW_ALL, DENY_ADMIN], "/admin", "GET", False, "default/deny-admin", id="DENY before ALLOW"),
        pytest.param([AUDIT, ALLOW_GET], "/admin", "POST", False, "", id="AUDIT decides nothing"),
        pytest.param([AUDIT], "/admin", "POST", True, "", id="AUDIT alone"),
        pytest.param([DRY_DENY, DRY_ALLOW], "/", "GET", True, "", id="dry runs decide nothing"),
    ],
)
def test_verdicts(policies: list[AuthorizationPolicy], path: str, method: str, allowed: bool, decided: str) -> None:
    verdict = HttpPolicies(policies).judge(facts(request(path, method)))
    assert (verdict.allowed, verdict.policy) == (allowed, decided)


def test_a_denial_names_its_policy_and_rule() -> None:
    by_rule = HttpPolicies([DENY_ADMIN]).judge(facts(request("/admin")))
    assert by_rule.details == "rbac_access_denied_matched_policy[ns[default]-policy[deny-admin]-rule[0]]"
    by_none = HttpPolicies([ALLOW_NOTHING]).judge(facts())
    assert by_none.details == "rbac_access_denied_matched_policy[none]"
    with pytest.raises(AccessDenied) as denied:
        by_none.enforce()
    assert (denied.value.answer, denied.value.text) == (403, "RBAC: access denied")
    HttpPolicies([ALLOW_ALL]).judge(facts()).enforce()


def test_custom_policies_name_whom_to_ask() -> None:
    policies = HttpPolicies([ASK, ASK, ALLOW_ALL])
    assert policies.judge(facts(request("/private/x"))).ask == ("authz",)
    assert policies.judge(facts(request("/"))).ask == ()
    assert HttpPolicies([ASK]).judge(facts(request("/private"))).allowed


def test_notes() -> None:
    notes = HttpPolicies([AUDIT, DRY_DENY, DRY_ALLOW]).judge(facts(request("/admin"))).notes
    assert notes == (
        "dry run: default/dry-deny rule 0 would deny",
        "dry run: default/dry-allow would deny",
        "audit: default/audit-admin rule 0 matches",
    )


@pytest.mark.parametrize(
    ("action", "allowed"), [(Action.ALLOW, False), (Action.DENY, False)], ids=["ALLOW never holds", "DENY always does"]
)
@pytest.mark.parametrize(
    "rule",
    [
        Rule(when=(Condition("experimental.envoy.filters.a[b]", ("x",)),)),
        Rule(when=(Condition("destination.port", ("http",)),)),
        Rule(to=(Operation(paths=("/{*}" * 6_000,)),)),
    ],
    ids=["an unknown key", "no port", "an endless template"],
)
def test_what_cannot_be_judged_opens_no_door(action: Action, allowed: bool, rule: Rule) -> None:
    policies = HttpPolicies([AuthorizationPolicy(Metadata("p", "default"), action=action, rules=(rule,))])
    assert policies.judge(facts()).allowed is allowed
    [problem] = policies.problems
    assert problem.startswith("default/p rule 0: ")


@pytest.mark.parametrize(
    ("spec", "identity", "allowed"),
    [
        pytest.param("rules: [{to: [{operation: {methods: [GET]}}]}]", SLEEP, False, id="an ALLOW that asks for more"),
        pytest.param("rules: [{from: [{source: {namespaces: [default]}}]}]", SLEEP, True, id="an ALLOW of layer 4"),
        pytest.param("{action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}]}", SLEEP, False, id="a DENY, closed"),
        pytest.param(
            "{action: DENY, rules: [{from: [{source: {namespaces: [other]}}], to: [{operation: {paths: [/x]}}]}]}",
            SLEEP,
            True,
            id="a DENY by what is left of it: another",
        ),
        pytest.param(
            "{action: DENY, rules: [{from: [{source: {namespaces: [other]}}], to: [{operation: {paths: [/x]}}]}]}",
            STRANGER,
            False,
            id="a DENY by what is left of it",
        ),
        pytest.param(
            '{action: DENY, rules: [{when: [{key: "request.headers[x]", values: [a]},'
            " {key: source.ip, values: [9.9.9.9]}]}]}",
            SLEEP,
            True,
            id="conditions likewise",
        ),
    ],
)
def test_connections_that_are_no_http(spec: str, identity: SpiffeId, allowed: bool) -> None:
    assert HttpPolicies([policy(spec)], http=False).judge(facts(identity=identity)).allowed is allowed


# A second, naive reading of the same rules.

TEXTS = st.sampled_from(["*", "a", "a*", "*b", "ab", "b"])
LISTS = st.lists(TEXTS, max_size=2).map(tuple)
SOURCES = st.builds(Source, namespaces=LISTS, not_namespaces=LISTS, request_principals=LISTS, trust_domains=LISTS)
OPERATIONS = st.builds(
    Operation,
    methods=LISTS,
    not_methods=LISTS,
    hosts=LISTS,
    not_hosts=LISTS,
    ports=st.lists(st.sampled_from([8080, 1]), max_size=2).map(tuple),
)
CONDITIONS = st.builds(
    Condition, st.sampled_from(["request.headers[x]", "request.auth.claims[c]", "source.namespace"]), LISTS, LISTS
).filter(lambda one: one.values or one.not_values)
RULES = st.builds(
    Rule,
    st.lists(SOURCES, max_size=2).map(tuple),
    st.lists(OPERATIONS, max_size=2).map(tuple),
    st.lists(CONDITIONS, max_size=2).map(tuple),
)
POLICIES = st.lists(
    st.builds(
        AuthorizationPolicy,
        st.just(Metadata("p", "default")),
        action=st.sampled_from([Action.ALLOW, Action.DENY]),
        rules=st.lists(RULES, max_size=2).map(tuple),
    ),
    max_size=3,
)


def text_matches(pattern: str, text: str) -> bool:
    if pattern == "*":
        return text != ""
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def field_holds(wanted: tuple[str, ...], unwanted: tuple[str, ...], values: list[str], *, there: bool = False) -> bool:
    """`there`: `*` means that there is a value, be it empty."""

    def found(patterns: tuple[str, ...]) -> bool:
        return any(
            text_matches(pattern, value) or (there and pattern == "*") for pattern in patterns for value in values
        )

    return (not wanted or found(wanted)) and not found(unwanted)


def naive(policies: list[AuthorizationPolicy], seen: RequestFacts, attributes: dict[str, list[str]]) -> bool:
    def holds(rule: Rule) -> bool:
        sources = [
            field_holds(one.namespaces, one.not_namespaces, attributes["source.namespace"])
            and field_holds(one.request_principals, (), attributes["principal"])
            and field_holds(one.trust_domains, (), attributes["domain"])
            for one in rule.from_
        ]
        operations = [
            field_holds(one.methods, one.not_methods, [seen.request.method])
            and field_holds(one.hosts, one.not_hosts, [seen.request.authority])
            and (not one.ports or seen.destination_port in one.ports)
            for one in rule.to
        ]
        conditions = [
            field_holds(one.values, one.not_values, attributes[one.key], there="headers" in one.key)
            for one in rule.when
        ]
        return (not sources or any(sources)) and (not operations or any(operations)) and all(conditions)

    matching = {policy.action for policy in policies for rule in policy.rules if holds(rule)}
    if Action.DENY in matching:
        return False
    return Action.ALLOW in matching or all(policy.action is not Action.ALLOW for policy in policies)


@given(
    policies=POLICIES,
    method=st.sampled_from(["a", "b", "ab"]),
    host=st.sampled_from(["a", "ab", "c"]),
    header=st.sampled_from([None, "a", "ab", ""]),
    claim=st.sampled_from([None, "a", "ab", ["b", "c"]]),
    identity=st.sampled_from([None, SpiffeId("ab", "a", "x"), SpiffeId("c", "b", "x")]),
)
def test_a_naive_reading_says_the_same(
    policies: list[AuthorizationPolicy],
    method: str,
    host: str,
    header: str | None,
    claim: str | list[str] | None,
    identity: SpiffeId | None,
) -> None:
    asked = request("/", method, host, **({} if header is None else {"x": header}))
    seen = facts(asked, identity, claims={} if claim is None else {"c": claim})
    attributes = {
        "source.namespace": [] if identity is None else [identity.namespace],
        "domain": [] if identity is None else [identity.trust_domain],
        "principal": [],
        "request.headers[x]": [] if header is None else [header],
        "request.auth.claims[c]": [] if claim is None else [claim] if isinstance(claim, str) else claim,
    }
    assert HttpPolicies(policies).judge(seen).allowed is naive(policies, seen, attributes)
