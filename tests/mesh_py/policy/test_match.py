"""What each field of a policy's match compares (hbone-controlplane 4.5, 4.8)."""

from __future__ import annotations

from typing import Any

import pytest

from hbone_py.identity import SpiffeId
from mesh_py.model.address import Cidr
from mesh_py.model.authorization import Match, MatchKind, ServiceAccountMatch, StringMatch
from mesh_py.policy.match import ConnectionFacts, compile_match
from tests.support.world import ip

PLAINTEXT = ConnectionFacts(ip("10.0.0.1"), ip("10.0.1.1"), 80)
MATCHING = PLAINTEXT._replace(identity=SpiffeId("td", "a", "b"))
ELSEWHERE = Cidr.parse("192.168.0.0/16")
ENDS_IN_B, ENDS_IN_C = StringMatch(MatchKind.SUFFIX, "/sa/b"), StringMatch(MatchKind.SUFFIX, "/sa/c")
ALTERNATE = ConnectionFacts(ip("10.0.8.1"), ip("10.0.9.1"), 81, SpiffeId("td", "x", "y"))


def exact(text: str) -> StringMatch:
    return StringMatch(MatchKind.EXACT, text)


@pytest.mark.parametrize(
    ("field", "value", "positive"),
    [
        pytest.param("principals", exact("td/ns/a/sa/b"), (False, True, False), id="principals"),
        pytest.param("namespaces", exact("a"), (False, True, False), id="namespaces"),
        pytest.param("service_accounts", ServiceAccountMatch("a", "b"), (False, True, False), id="service accounts"),
        pytest.param("source_ips", Cidr.parse("10.0.0.0/24"), (True, True, False), id="source ips"),
        pytest.param("destination_ips", Cidr.parse("10.0.1.0/24"), (True, True, False), id="destination ips"),
        pytest.param("destination_ports", 80, (True, True, False), id="destination ports"),
    ],
)
def test_each_list_alone(field: str, value: Any, positive: tuple[bool, bool, bool]) -> None:
    """Against plaintext, the identity meant, and another; a `not_` list is the opposite of its list."""
    peers = (PLAINTEXT, MATCHING, ALTERNATE)
    one, none = compile_match(Match(**{field: (value,)})), compile_match(Match(**{f"not_{field}": (value,)}))
    assert tuple(map(one, peers)) == positive
    assert tuple(map(none, peers)) == tuple(not result for result in positive)


@pytest.mark.parametrize(
    ("matcher", "plaintext", "identified"),
    [
        pytest.param(StringMatch(MatchKind.PRESENCE), False, True, id="presence"),
        pytest.param(exact(""), True, False, id="the empty namespace is that of plaintext"),
        pytest.param(StringMatch(MatchKind.PREFIX, ""), True, True, id="any prefix"),
    ],
)
def test_plaintext_has_the_empty_namespace(matcher: StringMatch, plaintext: bool, identified: bool) -> None:
    test = compile_match(Match(namespaces=(matcher,)))
    assert (test(PLAINTEXT), test(MATCHING)) == (plaintext, identified)


@pytest.mark.parametrize("matcher", [StringMatch(MatchKind.PRESENCE), StringMatch(MatchKind.PREFIX, ""), exact("")])
def test_plaintext_has_no_principal_whatever_is_asked(matcher: StringMatch) -> None:
    assert not compile_match(Match(principals=(matcher,)))(PLAINTEXT)
    assert compile_match(Match(not_principals=(matcher,)))(PLAINTEXT)


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        pytest.param("td/ns/a/sa/b", True, id="without the scheme"),
        pytest.param("spiffe://td/ns/a/sa/b", False, id="with the scheme: never"),
    ],
)
def test_principals_have_no_scheme(principal: str, expected: bool) -> None:
    assert compile_match(Match(principals=(exact(principal),)))(MATCHING) is expected


def test_a_service_account_is_of_any_trust_domain() -> None:
    test = compile_match(Match(service_accounts=(ServiceAccountMatch("a", "b"),)))
    assert test(PLAINTEXT._replace(identity=SpiffeId("elsewhere", "a", "b")))


def test_families_do_not_match_each_other() -> None:
    everything = compile_match(Match(source_ips=(Cidr.parse("0.0.0.0/0"),)))
    assert everything(PLAINTEXT)
    assert not everything(PLAINTEXT._replace(source_ip=ip("fd00::1")))
    assert compile_match(Match(source_ips=(Cidr.parse("::/0"),)))(PLAINTEXT._replace(source_ip=ip("fd00::1")))


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param(Match(), False, id="no conditions: never"),
        pytest.param(Match(destination_ports=(1, 80)), True, id="any of a list"),
        pytest.param(Match(destination_ports=(80,), not_destination_ports=(80,)), False, id="both lists must hold"),
        pytest.param(Match(destination_ports=(80,), namespaces=(exact("a"),)), True, id="all fields: yes"),
        pytest.param(Match(destination_ports=(81,), namespaces=(exact("a"),)), False, id="all fields: one fails"),
        pytest.param(Match(principals=(exact("x"), ENDS_IN_B)), True, id="exact and pattern: the pattern"),
        pytest.param(Match(principals=(exact("td/ns/a/sa/b"), ENDS_IN_C)), True, id="exact and pattern: the exact"),
        pytest.param(Match(principals=(exact("x"), ENDS_IN_C)), False, id="exact and pattern: neither"),
        pytest.param(Match(principals=(ENDS_IN_C, ENDS_IN_B)), True, id="either pattern"),
        pytest.param(Match(source_ips=(ELSEWHERE, Cidr.parse("10.0.0.0/24"))), True, id="either source"),
        pytest.param(Match(destination_ips=(ELSEWHERE, Cidr.parse("10.0.1.0/24"))), True, id="either destination"),
    ],
)
def test_fields_together(match: Match, expected: bool) -> None:
    assert compile_match(match)(MATCHING) is expected


def test_facts_read_as_a_line() -> None:
    assert str(MATCHING) == "td/ns/a/sa/b at 10.0.0.1 to 10.0.1.1:80"
    assert str(PLAINTEXT) == "nobody at 10.0.0.1 to 10.0.1.1:80"
