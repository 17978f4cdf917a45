"""PeerAuthentication for layer 4, row by row (hbone-controlplane 4.7), and what the outcome lets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py.identity import SpiffeId
from mesh_py.manifests.peer_modes import PeerModes
from mesh_py.manifests.security import MutualTls
from mesh_py.model.authorization import Action, Match, MatchKind, Scope, StringMatch
from mesh_py.policy.match import ConnectionFacts
from mesh_py.policy.rbac import PolicySet, authorize, compile_policy
from tests.istiod_py.ambient.folder import ROOT, codes, mesh, peers, pod, the_pod
from tests.support.world import ip

if TYPE_CHECKING:
    from istiod_py.ambient.mesh import Mesh
    from mesh_py.manifests.security import PeerAuthentication

STATIC = "istio-system/istio_converted_static_strict"
OWN = "shop/converted_peer_authentication_own"
NOBODY = Match(not_principals=(StringMatch(MatchKind.PRESENCE),))
WEB = {"app": "web"}
STRICT_MESH, STRICT_SHOP = peers(mode="STRICT", namespace=ROOT), peers(mode="STRICT")


def own(mode: str, ports: dict[int, str] | None = None) -> PeerAuthentication:
    return peers("own", mode, ports, selector=WEB)


def told_of(*objects: PeerAuthentication) -> Mesh:
    return mesh(pod(labels=WEB), *objects)


def exempt(port: int) -> Match:
    return Match(not_destination_ports=(port,))


def strict(port: int) -> Match:
    return Match(not_principals=NOBODY.not_principals, destination_ports=(port,))


def test_the_static_policy_comes_with_any_object() -> None:
    assert told_of().policies == {}
    [policy] = told_of(peers(mode="PERMISSIVE")).policies.values()
    assert (policy.key, policy.scope, policy.action) == (STATIC, Scope.WORKLOAD_SELECTOR, Action.DENY)
    assert policy.rules == (((NOBODY,),),)


# Which mode is in force.


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([], False, id="nothing written"),
        pytest.param([STRICT_MESH], True, id="mesh"),
        pytest.param([STRICT_SHOP], True, id="namespace"),
        pytest.param([own("STRICT")], True, id="workload"),
        pytest.param([STRICT_MESH, peers(mode="PERMISSIVE")], False, id="the namespace overrides the mesh"),
        pytest.param([STRICT_MESH, peers(mode="DISABLE")], False, id="the namespace switches it off"),
        pytest.param([STRICT_MESH, peers(mode="UNSET")], True, id="the namespace inherits"),
        pytest.param([STRICT_SHOP, own("PERMISSIVE")], False, id="the workload overrides the namespace"),
        pytest.param([STRICT_MESH, own("UNSET")], True, id="the workload inherits from the mesh"),
        pytest.param([STRICT_SHOP, own("UNSET")], True, id="the workload inherits from the namespace"),
        pytest.param([peers(mode="STRICT", namespace="other")], False, id="another namespace"),
        pytest.param([peers("own", "STRICT", selector={"app": "db"})], False, id="another workload"),
        pytest.param([peers("x", "STRICT", selector=WEB, namespace=ROOT)], False, id="a selector in the root"),
        pytest.param(
            [peers("young", "STRICT", age=2), peers("old", "PERMISSIVE", age=1)], False, id="the oldest counts"
        ),
    ],
)
def test_a_strict_workload_lists_the_static_policy(objects: list[PeerAuthentication], expected: bool) -> None:
    assert the_pod(told_of(*objects)).authorization_policies == ((STATIC,) if expected else ())


# Ports.


@pytest.mark.parametrize(
    ("objects", "listed", "rules"),
    [
        pytest.param([own("STRICT", {80: "STRICT"})], STATIC, None, id="STRICT, all STRICT"),
        pytest.param(
            [own("STRICT", {81: "DISABLE", 80: "PERMISSIVE", 82: "STRICT"})],
            OWN,
            [[[NOBODY], [exempt(80)], [exempt(81)]]],
            id="STRICT, some PERMISSIVE or DISABLE",
        ),
        pytest.param(
            [STRICT_SHOP, own("PERMISSIVE", {81: "STRICT", 80: "STRICT", 82: "PERMISSIVE"})],
            OWN,
            [[[strict(80)]], [[strict(81)]]],
            id="PERMISSIVE, some STRICT",
        ),
        pytest.param([own("DISABLE", {80: "STRICT"})], OWN, [[[strict(80)]]], id="DISABLE, some STRICT"),
        pytest.param([own("PERMISSIVE", {80: "DISABLE"})], None, None, id="PERMISSIVE, none STRICT"),
        pytest.param(
            [STRICT_MESH, own("UNSET", {80: "PERMISSIVE", 81: "DISABLE"})],
            OWN,
            [[[NOBODY], [exempt(80)], [exempt(81)]]],
            id="UNSET, parent STRICT, some PERMISSIVE",
        ),
        pytest.param([STRICT_SHOP, own("UNSET", {80: "DISABLE"})], STATIC, None, id="UNSET, parent STRICT, DISABLE"),
        pytest.param([STRICT_SHOP, own("UNSET", {80: "STRICT"})], STATIC, None, id="UNSET, parent STRICT, STRICT"),
        pytest.param([own("UNSET", {80: "STRICT"})], OWN, [[[strict(80)]]], id="UNSET, parent not STRICT"),
        pytest.param(
            [STRICT_MESH, peers(mode="PERMISSIVE"), own("UNSET", {80: "STRICT"})],
            OWN,
            [[[strict(80)]]],
            id="UNSET, the nearer parent not STRICT",
        ),
        pytest.param([own("STRICT", {80: "UNSET"})], STATIC, None, id="a port that says nothing"),
    ],
)
def test_ports(objects: list[PeerAuthentication], listed: str | None, rules: object) -> None:
    told = told_of(*objects)
    assert the_pod(told).authorization_policies == ((listed,) if listed else ())
    assert (OWN in told.policies) is (rules is not None)
    if rules is not None:
        assert [[list(clause) for clause in rule] for rule in told.policies[OWN].rules] == rules
        assert told.policies[OWN].action is Action.DENY


@pytest.mark.parametrize(
    ("objects", "plain_ports"),
    [
        ([own("STRICT", {80: "PERMISSIVE"})], {80}),
        ([own("PERMISSIVE", {80: "STRICT"})], {81, 82}),
        ([STRICT_MESH, own("UNSET", {80: "PERMISSIVE", 81: "DISABLE"})], {80, 81}),
        ([STRICT_MESH], set()),
    ],
)
def test_plaintext_reaches_the_ports_that_take_it(objects: list[PeerAuthentication], plain_ports: set[int]) -> None:
    told = told_of(*objects)
    names = the_pod(told).authorization_policies
    policies = PolicySet(tuple(compile_policy(told.policies[name]) for name in names), ())

    def passes(port: int, identity: SpiffeId | None) -> bool:
        return authorize(policies, ConnectionFacts(ip("10.0.0.1"), ip("10.1.0.1"), port, identity)).allowed

    assert {port for port in (80, 81, 82) if passes(port, None)} == plain_ports
    assert all(passes(port, SpiffeId("td", "a", "b")) for port in (80, 81, 82))


MODES = st.sampled_from(("UNSET", "DISABLE", "PERMISSIVE", "STRICT"))
OBJECTS = st.lists(
    st.builds(
        peers,
        st.uuids().map(str),
        MODES,
        st.dictionaries(st.sampled_from((80, 81)), MODES),
        selector=st.sampled_from((None, WEB, {"app": "db"})),
        namespace=st.sampled_from((ROOT, "shop", "other")),
        age=st.integers(1, 28),
    ),
    max_size=6,
)


@given(OBJECTS, st.sampled_from((80, 81, 82)))
def test_plaintext_passes_where_the_mode_in_force_says_so(objects: list[PeerAuthentication], port: int) -> None:
    told = told_of(*objects)
    names = the_pod(told).authorization_policies
    policies = PolicySet(tuple(compile_policy(told.policies[name]) for name in names), ())
    passes = authorize(policies, ConnectionFacts(ip("10.0.0.1"), ip("10.1.0.1"), port, None)).allowed
    levels = PeerModes(objects, ROOT).levels("shop", WEB)
    mode = levels.resolve()
    expected = mode.at(port) is not MutualTls.STRICT
    if mode.mode is MutualTls.STRICT and levels.workload is not None and levels.workload.mtls is MutualTls.UNSET:
        # As in Istio: where STRICT is inherited, DISABLE alone opens no port.
        expected = expected and MutualTls.PERMISSIVE in levels.workload.port_level_mtls.values()
    assert passes is expected


def test_what_has_no_effect_is_told() -> None:
    without_effect = [
        peers("selects", "STRICT", selector=WEB, namespace=ROOT),
        peers("ports", "STRICT", {80: "PERMISSIVE"}, age=1),
        peers("younger", "STRICT", age=2),
    ]
    assert codes(told_of(*without_effect)) == ["peer-authentication-without-effect"] * 3
