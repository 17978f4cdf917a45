"""Policies compiled to plain functions, so that the common verdict takes microseconds [pure].

The meaning of each field is hbone-controlplane 4.5: principals are compared without `spiffe://`; a peer
without an identity has no principal, no service account, and the empty namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hbone_py.address import format_address
from mesh_py.model.authorization import Match, MatchKind, Rule, ServiceAccountMatch, StringMatch

if TYPE_CHECKING:
    from hbone_py.identity import SpiffeId
    from mesh_py.model.address import Cidr, IpAddress


class ConnectionFacts(NamedTuple):
    """What policy may look at: one inbound connection (hbone-controlplane 4.1)."""

    source_ip: IpAddress
    """The TCP peer: a waypoint's if the connection came through one."""
    destination_ip: IpAddress
    """The address the connection hit: the workload's, never a service's."""
    destination_port: int
    """The port that will be dialled, after every translation."""
    identity: SpiffeId | None = None
    """Who the peer proved to be; None for plaintext."""

    def __str__(self) -> str:
        who = self.identity.principal if self.identity else "nobody"
        return f"{who} at {self.source_ip} to {format_address(self.destination_ip, self.destination_port)}"


Test = Callable[[ConnectionFacts], bool]


def compile_rule(rule: Rule) -> tuple[Test, ...]:
    """One test per clause, all of which must hold."""
    return tuple(_compile_clause(clause) for clause in rule)


def _compile_clause(clause: Sequence[Match]) -> Test:
    if not clause:
        return _always
    return _any_of([compile_match(match) for match in clause])


def compile_match(match: Match) -> Test:
    """One test for a match: all its fields hold, and there is at least one."""
    tests = [_principals(match.principals)] if match.principals else []
    if match.not_principals:
        tests.append(_not(_principals(match.not_principals)))
    if match.namespaces:
        tests.append(_namespaces(match.namespaces))
    if match.not_namespaces:
        tests.append(_not(_namespaces(match.not_namespaces)))
    if match.service_accounts:
        tests.append(_service_accounts(match.service_accounts))
    if match.not_service_accounts:
        tests.append(_not(_service_accounts(match.not_service_accounts)))
    tests.extend(_address_tests(match))
    if not tests:
        return _never  # hbone-controlplane 4.4: a match with every list empty is skipped
    return _all_of(tests)


def _address_tests(match: Match) -> Iterable[Test]:
    if match.destination_ports:
        yield _ports(match.destination_ports)
    if match.not_destination_ports:
        yield _not(_ports(match.not_destination_ports))
    if match.source_ips:
        yield _source_ips(match.source_ips)
    if match.not_source_ips:
        yield _not(_source_ips(match.not_source_ips))
    if match.destination_ips:
        yield _destination_ips(match.destination_ips)
    if match.not_destination_ips:
        yield _not(_destination_ips(match.not_destination_ips))


def _always(_: ConnectionFacts) -> bool:
    return True


def _never(_: ConnectionFacts) -> bool:
    return False


def _not(test: Test) -> Test:
    return lambda facts: not test(facts)


def _any_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def any_of(facts: ConnectionFacts) -> bool:
        for test in tests:  # noqa: SIM110 - any() over a generator takes twice as long
            if test(facts):
                return True
        return False

    return any_of


def _all_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def all_of(facts: ConnectionFacts) -> bool:
        for test in tests:  # noqa: SIM110 - as above
            if not test(facts):
                return False
        return True

    return all_of


def _strings(matchers: Sequence[StringMatch]) -> Callable[[str], bool]:
    exact = frozenset(m.value for m in matchers if m.kind is MatchKind.EXACT)
    patterns = [_pattern(m) for m in matchers if m.kind is not MatchKind.EXACT]
    if not patterns:
        return exact.__contains__
    if not exact and len(patterns) == 1:
        return patterns[0]
    return lambda text: text in exact or any(matches(text) for matches in patterns)


def _pattern(matcher: StringMatch) -> Callable[[str], bool]:
    value = matcher.value
    if matcher.kind is MatchKind.PREFIX:
        return lambda text: text.startswith(value)
    if matcher.kind is MatchKind.SUFFIX:
        return lambda text: text.endswith(value)
    return bool


def _principals(matchers: Sequence[StringMatch]) -> Test:
    matches = _strings(matchers)

    def principal(facts: ConnectionFacts) -> bool:
        identity = facts.identity
        return identity is not None and matches(identity.principal)

    return principal


def _namespaces(matchers: Sequence[StringMatch]) -> Test:
    matches = _strings(matchers)

    def namespace(facts: ConnectionFacts) -> bool:
        identity = facts.identity
        return matches("" if identity is None else identity.namespace)

    return namespace


def _service_accounts(matchers: Sequence[ServiceAccountMatch]) -> Test:
    accounts = frozenset((m.namespace, m.service_account) for m in matchers)

    def service_account(facts: ConnectionFacts) -> bool:
        identity = facts.identity
        return identity is not None and (identity.namespace, identity.service_account) in accounts

    return service_account


def _ports(ports: Sequence[int]) -> Test:
    wanted = frozenset(ports)
    return lambda facts: facts.destination_port in wanted


def _source_ips(blocks: Sequence[Cidr]) -> Test:
    return lambda facts: any(block.contains(facts.source_ip) for block in blocks)


def _destination_ips(blocks: Sequence[Cidr]) -> Test:
    return lambda facts: any(block.contains(facts.destination_ip) for block in blocks)
