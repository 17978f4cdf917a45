"""Who is taken out, for how long, and who may not be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.http.balancing import Host
from mesh_py.http.outliers import Outcome, OutlierDetector, OutlierRules

if TYPE_CHECKING:
    from collections.abc import Mapping

OK, ERROR, GATEWAY = Outcome.OK, Outcome.SERVER_ERROR, Outcome.GATEWAY_ERROR


def hosts(count: int = 2) -> dict[str, Host[None]]:
    return {str(number): Host(str(number), None) for number in range(count)}


def fail(detector: OutlierDetector, all_hosts: Mapping[str, Host[None]], name: str, times: int, now: float = 0) -> bool:
    return [detector.record(all_hosts[name], ERROR, all_hosts, now) for _ in range(times)][-1]


@pytest.mark.parametrize(
    ("rules", "outcomes", "ejected"),
    [
        (OutlierRules(), [ERROR] * 4, False),
        (OutlierRules(), [ERROR] * 5, True),
        (OutlierRules(), [ERROR] * 4 + [OK] + [ERROR] * 4, False),
        (OutlierRules(), [GATEWAY, ERROR] * 3, True),
        (OutlierRules(0, 3), [GATEWAY] * 3, True),
        (OutlierRules(0, 3), [GATEWAY, GATEWAY, ERROR, GATEWAY], False),
        (OutlierRules(0, 0), [GATEWAY] * 99, False),
    ],
    ids=["four", "five", "one well between", "both kinds", "gateway errors", "gateway errors apart", "switched off"],
)
def test_consecutive_errors(rules: OutlierRules, outcomes: list[Outcome], ejected: bool) -> None:
    all_hosts, detector = hosts(), OutlierDetector(rules)
    for outcome in outcomes:
        detector.record(all_hosts["0"], outcome, all_hosts, 0)
    assert all_hosts["0"].is_ejected is ejected
    assert detector.ejections == int(ejected)


def test_an_ejection_ends_and_the_next_is_longer() -> None:
    all_hosts, detector = hosts(), OutlierDetector(OutlierRules())
    assert fail(detector, all_hosts, "0", 5)
    assert not detector.release(all_hosts, 29)
    assert detector.release(all_hosts, 40)
    assert fail(detector, all_hosts, "0", 5, now=40)
    assert not detector.release(all_hosts, 99)
    assert detector.release(all_hosts, 110)


def test_good_behaviour_shortens_the_next() -> None:
    all_hosts, detector = hosts(), OutlierDetector(OutlierRules())
    fail(detector, all_hosts, "0", 5)
    for now in range(40, 100, 10):
        detector.release(all_hosts, now)
    fail(detector, all_hosts, "0", 5, now=100)
    assert detector.release(all_hosts, 131)


def test_no_ejection_lasts_for_ever() -> None:
    all_hosts, detector = hosts(), OutlierDetector(OutlierRules(max_ejection_time=60))
    for start in range(0, 1000, 100):
        fail(detector, all_hosts, "0", 5, now=start)
        assert detector.release(all_hosts, start + 60)


@pytest.mark.parametrize(("percent", "count", "most"), [(10, 5, 1), (10, 20, 2), (50, 4, 2), (100, 3, 3), (0, 5, 1)])
def test_not_all_are_taken_out(percent: int, count: int, most: int) -> None:
    all_hosts, detector = hosts(count), OutlierDetector(OutlierRules(max_ejection_percent=percent))
    for name in all_hosts:
        fail(detector, all_hosts, name, 5)
    assert sum(host.is_ejected for host in all_hosts.values()) == most


def test_who_is_gone_is_forgotten() -> None:
    all_hosts, detector = hosts(), OutlierDetector(OutlierRules())
    fail(detector, all_hosts, "0", 4)
    detector.release({}, 100)
    assert not fail(detector, all_hosts, "0", 1)


@pytest.mark.parametrize(("status", "outcome"), [(200, OK), (404, OK), (500, ERROR), (503, GATEWAY), (505, ERROR)])
def test_outcomes(status: int, outcome: Outcome) -> None:
    assert Outcome.of(status) is outcome
