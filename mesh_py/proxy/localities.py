"""How near endpoints are, and what share of the traffic their localities get (DestinationRule `localityLbSetting`)
[pure].

Failover is by nearness and needs outlier detection, which says who has failed; without it, as in Istio, all localities
are alike. A distribution says shares instead.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mesh_py.manifests.traffic import LocalitySetting, Share
    from mesh_py.model.workload import Locality, Workload

_FINE = 10_000
"""Weights are whole numbers: parts of a share so small."""


class Rank(NamedTuple):
    """What a locality setting makes of one endpoint."""

    weight: int
    """Zero: it gets nothing."""
    priority: int = 0
    """Those of 0 get everything while enough of them are healthy."""


def ranks(
    workloads: Sequence[Workload], own: Locality, setting: LocalitySetting | None, *, fails_over: bool
) -> list[Rank]:
    """Of each workload, as a client in locality `own` sees it. `fails_over`: whether failures are looked for at all."""
    plain = [Rank(one.capacity) for one in workloads]
    if not own.region or (setting is not None and not setting.enabled):
        return plain
    for source, shares in setting.distribute if setting is not None else ():
        if _is_in(own, source):
            return _distributed(workloads, shares)
    if not fails_over:
        return plain
    failover = dict(setting.failover) if setting is not None else {}
    return [Rank(one.capacity, _distance(own, one.locality, failover.get(own.region, ""))) for one in workloads]


def is_distributed(own: Locality, setting: LocalitySetting) -> bool:
    """Whether a setting says shares for clients in a locality."""
    return bool(own.region) and setting.enabled and any(_is_in(own, source) for source, _ in setting.distribute)


def _distributed(workloads: Sequence[Workload], shares: Iterable[Share]) -> list[Rank]:
    """Each share is divided among those in its locality; the longest that fits is an endpoint's own."""
    by_length = sorted(shares, key=lambda share: -len(share.to))
    places = [next((share for share in by_length if _is_in(one.locality, share.to)), None) for one in workloads]
    sums: dict[Share | None, int] = defaultdict(int)
    for one, share in zip(workloads, places, strict=True):
        sums[share] += one.capacity
    return [
        Rank(
            0
            if share is None or not sums[share]
            else max(share.weight * _FINE * one.capacity // sums[share], bool(share.weight))
        )
        for one, share in zip(workloads, places, strict=True)
    ]


def _distance(own: Locality, other: Locality, preferred: str) -> int:
    """0 in the same subzone, then zone, then region; then the region that is preferred; then all others."""
    if other.region != own.region:
        return 3 if preferred and other.region == preferred else 4
    if other.zone != own.zone:
        return 2
    return int(other.subzone != own.subzone)


def _is_in(locality: Locality, pattern: str) -> bool:
    """Whether a locality is `region/zone/subzone`, of which later parts may be left out, or be `*`."""
    for part, wanted in zip(locality, pattern.split("/"), strict=False):
        if wanted == "*":
            return True
        if part != wanted:
            return False
    return True
