"""Routes that wait for a DNS answer (hbone-dataplane 2.5)."""

from __future__ import annotations

import pytest

from mesh_py.model.errors import EmptyResolvedAddresses
from mesh_py.model.route import ByName, Direct
from tests.support.world import ip, workload

V4 = [ip("10.0.0.1"), ip("10.0.0.2")]
V6 = [ip("fd00::1"), ip("fd00::2")]


def by_name(*, ipv6: bool) -> ByName:
    named = workload("dns", uid="the-uid", hostname="db.example")
    return ByName("db.example", ipv6, named, lambda answer: Direct((answer, 80)))


@pytest.mark.parametrize(
    ("ipv6", "answers", "chance", "expected"),
    [
        pytest.param(False, V6 + V4, 0.0, "10.0.0.1", id="the caller's family first"),
        pytest.param(False, V6 + V4, 0.99, "10.0.0.2", id="by chance among them"),
        pytest.param(True, V4 + V6, 0.5, "fd00::2", id="ipv6 callers likewise"),
        pytest.param(True, V4, 0.0, "10.0.0.1", id="else the other family"),
    ],
)
def test_the_choice(ipv6: bool, answers: list[str], chance: float, expected: str) -> None:
    found = by_name(ipv6=ipv6).choose([ip(answer) for answer in answers], lambda: chance)
    assert found.next_hop == (expected, 80)


def test_no_answers_and_no_lookup_are_different_errors() -> None:
    with pytest.raises(EmptyResolvedAddresses) as empty:
        by_name(ipv6=False).choose([], lambda: 0.0)
    assert str(empty.value) == (
        "ip addresses were resolved for workload the-uid, but valid dns response had no A/AAAA records"
    )
    assert str(by_name(ipv6=False).failed()) == "no ip addresses were resolved for workload: the-uid"
