"""The policies that apply to a workload, kept and forgotten (hbone-controlplane 4.2, 4.8)."""

from __future__ import annotations

import pytest

from mesh_py.model.authorization import Action, Policy, Scope
from mesh_py.policy.store import PolicyStore
from tests.support.world import workload

LISTING = workload("w", "10.0.0.1", authorization_policies=("default/p",))
PLAIN = workload("w", "10.0.0.1")
ELSEWHERE = workload("w", "10.0.0.1", namespace="other")
ROOTLESS = workload("w", "10.0.0.1", namespace="")


def policy(scope: Scope, name: str = "p", namespace: str = "default") -> Policy:
    return Policy(name, namespace, scope, Action.DENY)


def store(*policies: Policy) -> PolicyStore:
    made = PolicyStore()
    for each in policies:
        made.upsert(each)
    return made


@pytest.mark.parametrize(
    ("scope", "listing", "plain", "elsewhere"),
    [
        pytest.param(Scope.GLOBAL, True, True, True, id="global: everybody"),
        pytest.param(Scope.NAMESPACE, True, True, False, id="namespace: its own"),
        pytest.param(Scope.WORKLOAD_SELECTOR, True, False, False, id="selector: who lists it"),
    ],
)
def test_scopes(scope: Scope, listing: bool, plain: bool, elsewhere: bool) -> None:
    policies = store(policy(scope))
    applied = [len(policies.applicable(each).deny) for each in (LISTING, PLAIN, ELSEWHERE)]
    assert applied == [listing, plain, elsewhere]


@pytest.mark.parametrize("before", list(Scope))
@pytest.mark.parametrize("after", list(Scope))
def test_a_changed_scope_is_indexed_anew(before: Scope, after: Scope) -> None:
    policies, expected = store(policy(before), policy(after)), store(policy(after))
    for each in (LISTING, PLAIN, ELSEWHERE):
        assert len(policies.applicable(each).deny) == len(expected.applicable(each).deny)
    policies.remove("default/p")
    assert [len(policies.applicable(each).deny) for each in (LISTING, PLAIN, ELSEWHERE)] == [0, 0, 0]


def test_the_empty_namespace_is_not_the_global_one() -> None:
    assert len(store(policy(Scope.NAMESPACE)).applicable(ROOTLESS).deny) == 0
    assert len(store(policy(Scope.GLOBAL)).applicable(ROOTLESS).deny) == 1


def test_a_policy_listed_and_of_the_namespace_applies_once() -> None:
    assert len(store(policy(Scope.NAMESPACE)).applicable(LISTING).deny) == 1


def test_an_unknown_name_is_missing_until_it_comes() -> None:
    policies = store()
    assert policies.applicable(LISTING).missing == ("default/p",)
    policies.upsert(policy(Scope.WORKLOAD_SELECTOR))
    assert policies.applicable(LISTING).missing == ()
    policies.remove("default/p")
    assert policies.applicable(LISTING).missing == ("default/p",)


def test_a_policy_may_be_known_by_another_name() -> None:
    policies = store()
    policies.upsert(policy(Scope.WORKLOAD_SELECTOR, name="q"), key="default/p")
    assert len(policies.applicable(LISTING).deny) == 1
    assert list(policies.keys()) == ["default/p"]
    assert policies.get("default/p") == policy(Scope.WORKLOAD_SELECTOR, name="q")
    assert policies.get("default/q") is None


def test_sets_are_kept_until_something_changes() -> None:
    policies = store(policy(Scope.GLOBAL))
    first = policies.applicable(PLAIN)
    assert policies.applicable(workload("other", "10.0.0.2")) is first
    version = policies.version
    assert policies.remove("no/policy") is False
    assert policies.version == version
    policies.upsert(policy(Scope.GLOBAL, name="q"))
    assert policies.applicable(PLAIN) is not first
    assert policies.version > version


def test_what_cannot_be_named_yet_is_missed_by_everybody() -> None:
    policies = store(policy(Scope.GLOBAL))
    version = policies.version
    policies.await_all("those on their way")
    assert policies.applicable(PLAIN).missing == ("those on their way",)
    assert policies.applicable(LISTING).missing == ("those on their way",)
    assert policies.all_known()
    assert policies.applicable(PLAIN).missing == ()
    assert policies.version == version + 2
    assert not policies.all_known()
    assert policies.version == version + 2
