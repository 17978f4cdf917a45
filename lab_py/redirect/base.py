"""What brings traffic to proxies in one namespace, as a value; and as the texts that install and remove it [pure].

Every rule and route has a name (P10, Z2, rule-101 ...), which iptables keeps as the rule's comment: so counters are
read back by name, and a single one can be left out to see what breaks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

BUILT_IN = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of iptables."""

    name: str
    table: str
    chain: str
    match: str
    """As iptables takes it; empty matches everything."""
    target: str
    """What follows `-j`."""
    at_head: bool = False
    """Put before what is there rather than behind it."""

    @property
    def text(self) -> str:
        """The rule without its chain."""
        match = f"{self.match} " if self.match else ""
        return f'{match}-m comment --comment "{self.name}" -j {self.target}'


@dataclass(frozen=True, slots=True)
class Step:
    """One line of `ip -batch` that adds a route, a policy rule or an address."""

    name: str
    line: str

    @property
    def undone(self) -> str:
        """The line that takes it back; empty where it goes away with its device."""
        thing, verb, rest = self.line.split(" ", 2)
        return f"{thing} del {rest}" if verb == "add" and thing in ("rule", "route") else ""


@dataclass(frozen=True, slots=True)
class AddressSet:
    """A set of `ipset`: addresses, each with a comment."""

    name: str
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Redirection:
    """Everything of one namespace, in the order in which it is installed."""

    namespace: str
    sysctls: Mapping[str, str] = field(default_factory=dict)
    """By dotted name."""
    steps: tuple[Step, ...] = ()
    sets: tuple[AddressSet, ...] = ()
    rules: tuple[Rule, ...] = ()

    def without(self, names: Collection[str]) -> Redirection:
        """The same less the rules and steps of these names."""
        return replace(
            self,
            steps=tuple(step for step in self.steps if step.name not in names),
            rules=tuple(rule for rule in self.rules if rule.name not in names),
        )

    def joined(self, other: Redirection) -> Redirection:
        """Both, of one namespace, this one first."""
        return Redirection(
            self.namespace,
            {**self.sysctls, **other.sysctls},
            self.steps + other.steps,
            self.sets + other.sets,
            self.rules + other.rules,
        )

    @property
    def names(self) -> frozenset[str]:
        """Of its rules and steps."""
        return frozenset(self.names_in_order)

    @property
    def names_in_order(self) -> tuple[str, ...]:
        """Of its steps, then of its rules, as they are installed."""
        return (*(step.name for step in self.steps), *(rule.name for rule in self.rules))

    @property
    def chains(self) -> tuple[tuple[str, str], ...]:
        """(table, chain) of the chains that are ours: those with rules, and those that rules lead to."""
        found = [pair for rule in self.rules for pair in ((rule.table, rule.chain), (rule.table, rule.target))]
        targets = {pair for pair in found if _is_chain(pair[1])}
        return tuple(dict.fromkeys(pair for pair in found if pair in targets))


def _is_chain(word: str) -> bool:
    """Whether a rule's target, or chain, is a chain of ours: those begin as Istio's do."""
    return word.startswith(("ztunnel-", "ISTIO_"))


def ip_lines(redirection: Redirection) -> str:
    """For `ip -n NAMESPACE -batch -`."""
    return _text(step.line for step in redirection.steps)


def ip_lines_undone(redirection: Redirection) -> str:
    """The same taken back, the last first."""
    return _text(filter(None, (step.undone for step in reversed(redirection.steps))))


def set_lines(redirection: Redirection) -> str:
    """For `ipset restore`."""
    return _text(line for one in redirection.sets for line in _set_lines(one))


def rule_lines(redirection: Redirection) -> str:
    """For `iptables-restore --noflush`."""
    return _text(line for table in _tables(redirection) for line in _table_lines(redirection, table))


def rule_lines_undone(redirection: Redirection) -> str:
    """For `iptables-restore --noflush`: our rules leave the built-in chains, then our chains go."""
    return _text(line for table in _tables(redirection) for line in _undone_lines(redirection, table))


def _set_lines(one: AddressSet) -> Iterator[str]:
    yield f"create {one.name} hash:ip family inet comment"
    for address, comment in one.members.items():
        yield f'add {one.name} {address} comment "{comment}"'


def _tables(redirection: Redirection) -> list[str]:
    return list(dict.fromkeys(rule.table for rule in redirection.rules))


def _table_lines(redirection: Redirection, table: str) -> Iterator[str]:
    yield f"*{table}"
    yield from (f":{chain} - [0:0]" for owner, chain in redirection.chains if owner == table)
    for rule in redirection.rules:
        if rule.table == table:
            yield f"{'-I' if rule.at_head else '-A'} {rule.chain} {rule.text}"
    yield "COMMIT"


def _undone_lines(redirection: Redirection, table: str) -> Iterator[str]:
    own = [chain for owner, chain in redirection.chains if owner == table]
    yield f"*{table}"
    for rule in redirection.rules:
        if rule.table == table and rule.chain in BUILT_IN:
            yield f"-D {rule.chain} {rule.text}"
    yield from (f"-F {chain}" for chain in own)
    yield from (f"-X {chain}" for chain in own)
    yield "COMMIT"


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
