"""Which endpoint of a backend gets a request: round robin, least request, random, or by a hash [pure].

A `HostSet` holds one backend's endpoints; an endpoint keeps its state (requests under way, ejection) when the set is
updated. Priorities are failover by locality: the nearest (0) gets everything while enough of it is healthy, then the
next gets its share. Chance comes in as an argument.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from mesh_py.http.hash_ring import HashRing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mesh_py.model.route import Random

Target = TypeVar("Target")

OVERPROVISIONING = 1.4
"""A priority counts as whole until less than 1/1.4 of it is healthy (Envoy's factor)."""


class Policy(Enum):
    """How to choose, by DestinationRule's names."""

    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"
    """The less busy of two taken by chance. Istio's default."""
    RANDOM = "RANDOM"
    CONSISTENT_HASH = "CONSISTENT_HASH"


class Host(Generic[Target]):
    """An endpoint and what we know of it. `active` is the caller's to raise and lower."""

    __slots__ = ("active", "address", "credit", "is_ejected", "priority", "target", "weight")

    def __init__(self, address: str, target: Target, weight: int = 1, priority: int = 0) -> None:
        self.address = address
        """`ip:port`: its name in sessions and logs."""
        self.target = target
        """What the caller wants to find again."""
        self.weight = weight
        self.priority = priority
        self.active = 0
        """Requests under way."""
        self.is_ejected = False
        """Set by outlier detection."""
        self.credit = 0
        """Of the weighted round robin."""

    def __repr__(self) -> str:
        return f"Host({self.address!r})"


class Wish(NamedTuple):
    """What a request asks of the choice."""

    hash_key: str | None = None
    """For CONSISTENT_HASH; without one, chance decides."""
    session: str | None = None
    """The address that the client was sent to before; taken if it is healthy."""
    avoid: frozenset[str] = frozenset()
    """Addresses that failed this request already; taken only if there are no others."""


NO_WISH = Wish()


class _Choice(Generic[Target]):
    """The healthy endpoints of one priority."""

    __slots__ = ("addresses", "even", "hosts", "sums")

    def __init__(self, hosts: Sequence[Host[Target]]) -> None:
        weights = [host.weight for host in hosts]
        self.hosts = tuple(hosts)
        self.addresses = frozenset([host.address for host in hosts])
        self.sums = tuple(accumulate(weights))
        self.even = len(set(weights)) <= 1
        """Whether all weigh the same."""


class HostSet(Generic[Target]):
    """The endpoints of one backend. Call `changed` after an ejection or its end."""

    def __init__(self, policy: Policy = Policy.LEAST_REQUEST) -> None:
        self.policy = policy
        self.least_healthy = 0.0
        """With a smaller part than this left, those who were taken out count as well (Envoy's panic)."""
        self.hosts: dict[str, Host[Target]] = {}
        self._choices: list[_Choice[Target]] = []
        self._loads: tuple[float, ...] = ()
        self._ring: HashRing | None = None
        self._turn = 0

    def __len__(self) -> int:
        return len(self.hosts)

    def update(self, hosts: Iterable[Host[Target]]) -> None:
        """These and no others; those that stay keep their state."""
        kept: dict[str, Host[Target]] = {}
        for host in hosts:
            known = self.hosts.get(host.address)
            if known is not None:
                known.target, known.weight, known.priority = host.target, host.weight, host.priority
            kept[host.address] = known or host
        self.hosts = kept
        self._ring = None
        self.changed()

    def changed(self) -> None:
        """Work out anew who may be chosen."""
        by_priority: dict[int, list[Host[Target]]] = {}
        for host in self.hosts.values():
            if host.weight > 0:
                by_priority.setdefault(host.priority, []).append(host)
        groups = [by_priority[priority] for priority in sorted(by_priority)]
        is_panic = self._healthy_part() < self.least_healthy
        self._choices = [_Choice([host for host in group if is_panic or not host.is_ejected]) for group in groups]
        self._loads = _loads(
            [len(choice.hosts) / len(group) for choice, group in zip(self._choices, groups, strict=True)]
        )

    def _healthy_part(self) -> float:
        ejected = sum(host.is_ejected for host in self.hosts.values())
        return 1 - ejected / len(self.hosts) if self.hosts else 1.0

    def choose(self, random: Random, wish: Wish = NO_WISH) -> Host[Target] | None:
        """An endpoint for one request, None if none is healthy."""
        if wish.session is not None:
            host = self.hosts.get(wish.session)
            if host is not None and not host.is_ejected and host.weight > 0:
                return host
        if not self._loads:
            return None
        loads = self._loads
        choice = self._choices[0 if len(loads) == 1 else _weighted(loads, random)]
        hosts = choice.hosts
        host = hosts[0] if len(hosts) == 1 else self._pick(choice, random, wish)
        if wish.avoid and host.address in wish.avoid:
            others = [other for other in choice.hosts if other.address not in wish.avoid]
            if others:
                return others[int(random() * len(others))]
        return host

    def _pick(self, choice: _Choice[Target], random: Random, wish: Wish) -> Host[Target]:
        if self.policy is Policy.ROUND_ROBIN:
            return self._next(choice)
        if self.policy is Policy.CONSISTENT_HASH and wish.hash_key is not None:
            return self._by_hash(choice, wish.hash_key)
        if self.policy is Policy.LEAST_REQUEST:
            first, second = _by_chance(choice, random), _by_chance(choice, random)
            return second if second.active < first.active else first  # weights have had their say
        return _by_chance(choice, random)

    def _next(self, choice: _Choice[Target]) -> Host[Target]:
        hosts = choice.hosts
        self._turn += 1
        if choice.even:
            return hosts[self._turn % len(hosts)]
        # Smooth weighted round robin: everyone earns its weight, the richest is taken and pays the sum.
        for host in hosts:
            host.credit += host.weight
        richest = max(hosts, key=_credit)
        richest.credit -= choice.sums[-1]
        return richest

    def _by_hash(self, choice: _Choice[Target], key: str) -> Host[Target]:
        # One ring for all: a priority that is not meant now has its places passed over.
        if self._ring is None:
            self._ring = HashRing({host.address: host.weight for host in self.hosts.values() if host.weight > 0})
        return self.hosts[self._ring.find(key, choice.addresses)]


def _credit(host: Host[Target]) -> int:
    return host.credit


def _by_chance(choice: _Choice[Target], random: Random) -> Host[Target]:
    if choice.even:
        return choice.hosts[int(random() * len(choice.hosts))]
    return choice.hosts[_weighted(choice.sums, random)]


def _weighted(sums: Sequence[float], random: Random) -> int:
    """An index by chance; `sums` are running sums, of which the last is more than the one before."""
    return 0 if len(sums) == 1 else min(bisect_right(sums, random() * sums[-1]), len(sums) - 1)


def _loads(healthy: Sequence[float]) -> tuple[float, ...]:
    """Running shares of the priorities, by what part of each is healthy, up to the last that gets anything."""
    left, shares = 1.0, list[float]()
    for part in healthy:
        share = min(part * OVERPROVISIONING, left)
        shares.append(share)
        left -= share
    while shares and shares[-1] <= 0:
        shares.pop()
    return tuple(accumulate(shares))
