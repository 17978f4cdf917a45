"""Who gets a request."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.balancing import Host, HostSet, Policy, Wish


def hosts(*weights: int, priorities: tuple[int, ...] = ()) -> list[Host[str]]:
    return [
        Host(f"10.0.0.{n}:80", f"h{n}", weight, priorities[n] if priorities else 0) for n, weight in enumerate(weights)
    ]


def host_set(policy: Policy, *weights: int, priorities: tuple[int, ...] = ()) -> HostSet[str]:
    made: HostSet[str] = HostSet(policy)
    made.update(hosts(*weights, priorities=priorities))
    return made


def choices(made: HostSet[str], count: int, wish: Wish | None = None) -> Counter[str]:
    chance = random.Random(1).random
    picked = [made.choose(chance, wish or Wish()) for _ in range(count)]
    return Counter(host.target for host in picked if host is not None)


@pytest.mark.parametrize("policy", list(Policy))
def test_an_empty_set_has_nobody(policy: Policy) -> None:
    assert host_set(policy).choose(random.random) is None
    assert host_set(policy, 0).choose(random.random) is None


@pytest.mark.parametrize("policy", list(Policy))
def test_weights_are_shares(policy: Policy) -> None:
    seen = choices(host_set(policy, 1, 3, 0), 4000)
    assert set(seen) == {"h0", "h1"}
    assert 0.2 < seen["h0"] / 4000 < 0.3


def test_round_robin_takes_turns() -> None:
    made = host_set(Policy.ROUND_ROBIN, 1, 1, 1)
    assert choices(made, 30) == {"h0": 10, "h1": 10, "h2": 10}


def test_weighted_round_robin_spreads_evenly() -> None:
    made = host_set(Policy.ROUND_ROBIN, 5, 1, 1)
    picked = [made.choose(random.random) for _ in range(7)]
    assert [host.target for host in picked if host] == ["h0", "h0", "h1", "h0", "h2", "h0", "h0"]


def test_least_request_avoids_the_busy() -> None:
    made = host_set(Policy.LEAST_REQUEST, 1, 1)
    made.hosts["10.0.0.0:80"].active = 50
    seen = choices(made, 1000)
    assert seen["h0"] < seen["h1"] / 2  # only where chance takes it twice


def test_a_hash_stays_with_its_host_when_others_leave() -> None:
    made = host_set(Policy.CONSISTENT_HASH, *[1] * 10)
    keys = [str(number) for number in range(500)]

    def owners() -> dict[str, str]:
        return {key: host.address for key in keys if (host := made.choose(random.random, Wish(key)))}

    before = owners()
    assert len(set(before.values())) == 10
    made.hosts["10.0.0.3:80"].is_ejected = True
    made.changed()
    after = owners()
    moved = {key for key in keys if before[key] != after[key]}
    assert moved == {key for key in keys if before[key] == "10.0.0.3:80"}


def test_a_newcomer_gets_its_share_of_the_keys() -> None:
    made = host_set(Policy.CONSISTENT_HASH, 1, 1)
    keys = [str(number) for number in range(300)]

    def owners() -> Counter[str]:
        return Counter(host.target for key in keys if (host := made.choose(random.random, Wish(key))))

    assert set(owners()) == {"h0", "h1"}
    made.update(hosts(1, 1, 1))
    assert set(owners()) == {"h0", "h1", "h2"}
    assert min(owners().values()) > 50


def test_the_nearest_get_everything_while_enough_are_healthy() -> None:
    made = host_set(Policy.RANDOM, *[1] * 8, priorities=(0, 0, 0, 0, 1, 1, 2, 2))
    assert set(choices(made, 500)) == {"h0", "h1", "h2", "h3"}
    made.hosts["10.0.0.0:80"].is_ejected = True
    made.changed()
    assert set(choices(made, 500)) == {"h1", "h2", "h3"}  # three of four are still enough: 0.75 * 1.4 > 1


def test_the_next_get_their_share() -> None:
    made = host_set(Policy.RANDOM, *[1] * 6, priorities=(0, 0, 1, 1, 2, 2))
    made.hosts["10.0.0.0:80"].is_ejected = True
    made.changed()
    seen = choices(made, 4000)
    assert 0.66 < seen["h1"] / 4000 < 0.74  # half of them, times 1.4
    assert set(seen) == {"h1", "h2", "h3"}
    made.hosts["10.0.0.1:80"].is_ejected = True
    made.changed()
    assert set(choices(made, 500)) == {"h2", "h3"}


def test_nobody_healthy_is_nobody() -> None:
    made = host_set(Policy.ROUND_ROBIN, 1, 1)
    for host in made.hosts.values():
        host.is_ejected = True
    made.changed()
    assert made.choose(random.random) is None


def test_a_session_goes_where_it_was() -> None:
    made = host_set(Policy.RANDOM, 1, 1, 1)
    assert set(choices(made, 50, Wish(session="10.0.0.2:80"))) == {"h2"}
    assert len(choices(made, 100, Wish(session="10.9.9.9:80"))) == 3
    made.hosts["10.0.0.2:80"].is_ejected = True
    made.changed()
    assert "h2" not in choices(made, 50, Wish(session="10.0.0.2:80"))


@pytest.mark.parametrize("policy", list(Policy))
def test_a_retry_goes_elsewhere_if_it_can(policy: Policy) -> None:
    made = host_set(policy, 1, 1, 1)
    tried = frozenset({"10.0.0.0:80", "10.0.0.1:80"})
    assert set(choices(made, 50, Wish("k", avoid=tried))) == {"h2"}
    assert choices(made, 50, Wish("k", avoid=tried | {"10.0.0.2:80"})).total() == 50


def test_who_stays_keeps_its_state() -> None:
    made = host_set(Policy.ROUND_ROBIN, 1, 1)
    first = made.hosts["10.0.0.0:80"]
    first.active, first.is_ejected = 3, True
    made.update(hosts(7))
    assert made.hosts == {"10.0.0.0:80": first}
    assert (first.active, first.is_ejected, first.weight) == (3, True, 7)


@given(
    weights=st.lists(st.integers(0, 5), max_size=6),
    priorities=st.lists(st.integers(0, 2), min_size=6, max_size=6),
    ejected=st.sets(st.integers(0, 5)),
    policy=st.sampled_from(list(Policy)),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_only_the_healthy_are_chosen_and_somebody_is_if_any(
    weights: list[int], priorities: list[int], ejected: set[int], policy: Policy, chance: float
) -> None:
    made = host_set(policy, *weights, priorities=tuple(priorities))
    for number in ejected & set(range(len(weights))):
        made.hosts[f"10.0.0.{number}:80"].is_ejected = True
    made.changed()
    healthy = [host for host in made.hosts.values() if host.weight and not host.is_ejected]
    picked = made.choose(lambda: chance, Wish("key"))
    assert picked in healthy if healthy else picked is None
