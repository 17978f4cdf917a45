"""The conversion judged by what policies mean: the same where layer 4 knows all, never laxer where it does not."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from hbone_py.identity import SpiffeId
from istiod_py.ambient.authorization import convert, unsupported
from istiod_py.ambient.options import AmbientOptions
from mesh_py.manifests.security import Action, AuthorizationPolicy, Condition, Operation, Rule, Source
from mesh_py.model.address import Cidr
from mesh_py.model.authorization import Match
from mesh_py.policy.match import ConnectionFacts
from mesh_py.policy.rbac import PolicySet, authorize, compile_policy
from tests.istiod_py.ambient.folder import authorization
from tests.istiod_py.ambient.naive_policies import is_allowed, rule_matches
from tests.support.world import ip


def some(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, max_size=2).map(tuple)


NAMES = st.sampled_from(("shop", "front", "*", "sh*", "*nt"))
PRINCIPALS = st.sampled_from(("td/ns/shop/sa/web", "td/*", "*/web", "*", "td/ns/front/sa/db"))
ACCOUNTS = st.sampled_from(("web", "db", "front/web"))
BLOCKS = st.sampled_from(("10.0.0.0/8", "10.0.0.1", "fd00::/16")).map(Cidr.parse)
PORTS = st.sampled_from((80, 81))
PATHS = st.sampled_from(("/a", "/b"))

SOURCES_4 = st.builds(
    Source,
    namespaces=some(NAMES), not_namespaces=some(NAMES), principals=some(PRINCIPALS), not_principals=some(PRINCIPALS),
    service_accounts=some(ACCOUNTS), not_service_accounts=some(ACCOUNTS), ip_blocks=some(BLOCKS),
    not_ip_blocks=some(BLOCKS),
)  # fmt: skip
OPERATIONS_4 = st.builds(Operation, ports=some(PORTS), not_ports=some(PORTS))
CONDITIONS_4 = st.one_of(
    *(
        st.builds(Condition, st.just(key), some(values), some(values))
        for key, values in {
            "source.ip": BLOCKS.map(str),
            "source.namespace": NAMES,
            "source.principal": PRINCIPALS,
            "destination.ip": BLOCKS.map(str),
            "destination.port": PORTS.map(str),
        }.items()
    )
)
SOURCES_7 = st.builds(Source, namespaces=some(NAMES), request_principals=some(NAMES), not_remote_ip_blocks=some(BLOCKS))
OPERATIONS_7 = st.builds(Operation, ports=some(PORTS), paths=some(PATHS), not_methods=some(PATHS))
CONDITIONS_7 = st.builds(Condition, st.just("request.headers[x]"), some(NAMES), some(NAMES))


def rules(
    sources: st.SearchStrategy[Source],
    operations: st.SearchStrategy[Operation],
    conditions: st.SearchStrategy[Condition],
) -> st.SearchStrategy[Rule]:
    """Rules none of whose parts is empty, as the reader of manifests makes sure."""
    return st.builds(
        Rule,
        st.lists(sources.filter(lambda one: one != Source()), max_size=2).map(tuple),
        st.lists(operations.filter(lambda one: one != Operation()), max_size=2).map(tuple),
        st.lists(conditions.filter(lambda one: bool(one.values or one.not_values)), max_size=2).map(tuple),
    )


RULES_4 = rules(SOURCES_4, OPERATIONS_4, CONDITIONS_4)
RULES_7 = rules(SOURCES_4 | SOURCES_7, OPERATIONS_4 | OPERATIONS_7, CONDITIONS_4 | CONDITIONS_7)
IDENTITIES = st.none() | st.builds(
    SpiffeId, st.just("td"), st.sampled_from(("shop", "front")), st.sampled_from(("web", "db"))
)
ADDRESSES = st.sampled_from(("10.0.0.1", "10.9.0.1", "192.0.2.1", "fd00::1")).map(ip)
FACTS = st.builds(ConnectionFacts, ADDRESSES, ADDRESSES, PORTS, IDENTITIES)


def policy(action: Action, *written: Rule) -> AuthorizationPolicy:
    return authorization("p", *written, action=action)


def passes(written: AuthorizationPolicy, facts: ConnectionFacts) -> bool:
    """Whether a node proxy lets the connection in that has the converted policy alone."""
    converted = convert(written, AmbientOptions()).policy
    assert converted is not None
    return authorize(PolicySet((compile_policy(converted),), ()), facts).allowed


@given(st.sampled_from((Action.ALLOW, Action.DENY)), st.lists(RULES_4, max_size=3), FACTS)
def test_a_policy_of_layer_4_means_the_same(action: Action, written: list[Rule], facts: ConnectionFacts) -> None:
    one = policy(action, *written)
    assert passes(one, facts) is is_allowed(one, facts, layer_7=False)


@given(st.lists(RULES_7, max_size=3), FACTS, st.booleans())
def test_what_an_allow_lets_in_it_lets_in_whatever_the_request_is(
    written: list[Rule], facts: ConnectionFacts, layer_7: bool
) -> None:
    one = policy(Action.ALLOW, *written)
    assert not passes(one, facts) or is_allowed(one, facts, layer_7)


@given(RULES_7, FACTS, st.booleans())
def test_what_a_deny_keeps_out_stays_out_unless_nothing_is_left_of_it(
    written: Rule, facts: ConnectionFacts, layer_7: bool
) -> None:
    one = policy(Action.DENY, written)
    converted = convert(one, AmbientOptions()).policy
    assert converted is not None
    assume(not any(match == Match() for rule in converted.rules for clause in rule for match in clause))
    assert not rule_matches(written, one, facts, layer_7) or not passes(one, facts)


@given(RULES_7)
def test_only_what_layer_7_knows_is_called_so(written: Rule) -> None:
    in_parts = any(one.layer_7 for one in written.from_) or any(one.layer_7 for one in written.to)
    in_conditions = any(one.key.startswith("request.") for one in written.when)
    assert bool(unsupported(written)) is (in_parts or in_conditions)
