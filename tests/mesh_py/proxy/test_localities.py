"""What a client's place makes of endpoints elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh_py.manifests.traffic import LocalitySetting, Share
from mesh_py.model.workload import Locality
from mesh_py.proxy.localities import Rank, ranks
from tests.support.world import workload

OWN = Locality("eu", "a", "1")
PLACES = [OWN, Locality("eu", "a", "2"), Locality("eu", "b", "1"), Locality("us", "a", "1"), Locality("as", "a", "1")]
PODS = [replace(workload(f"w{n}", f"10.0.0.{n}"), locality=place) for n, place in enumerate(PLACES)]


def priorities(setting: LocalitySetting | None, *, fails_over: bool = True, own: Locality = OWN) -> list[int]:
    return [rank.priority for rank in ranks(PODS, own, setting, fails_over=fails_over)]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        pytest.param(None, [0, 1, 2, 4, 4], id="the nearer first"),
        pytest.param(LocalitySetting(failover=(("eu", "us"),)), [0, 1, 2, 3, 4], id="a region before others"),
        pytest.param(LocalitySetting(failover=(("us", "as"),)), [0, 1, 2, 4, 4], id="said of another region"),
        pytest.param(LocalitySetting(enabled=False), [0] * 5, id="switched off"),
    ],
)
def test_failover(setting: LocalitySetting | None, expected: list[int]) -> None:
    assert priorities(setting) == expected


def test_without_outlier_detection_all_places_are_alike() -> None:
    assert priorities(None, fails_over=False) == [0] * 5


def test_a_client_without_a_place_knows_no_distance() -> None:
    assert priorities(None, own=Locality()) == [0] * 5


@pytest.mark.parametrize(
    ("source", "shares", "expected"),
    [
        pytest.param("eu/a/*", {"eu/a/*": 80, "us/*": 20}, [40, 40, 0, 20, 0], id="among those in each place"),
        pytest.param("eu/*", {"eu/a/1": 50, "eu/*": 50}, [50, 25, 25, 0, 0], id="the longest that fits"),
        pytest.param("*", {"as/*": 100}, [0, 0, 0, 0, 100], id="from everywhere"),
    ],
)
def test_a_distribution(source: str, shares: dict[str, int], expected: list[int]) -> None:
    setting = LocalitySetting(distribute=((source, tuple(Share(*share) for share in shares.items())),))
    found = ranks(PODS, OWN, setting, fails_over=True)
    assert [rank.weight // 10_000 for rank in found] == expected
    assert {rank.priority for rank in found} == {0}


def test_a_distribution_of_elsewhere_says_nothing_here() -> None:
    setting = LocalitySetting(distribute=(("us/*", (Share("us/*", 100),)),))
    assert ranks(PODS, OWN, setting, fails_over=False) == [Rank(1)] * 5
