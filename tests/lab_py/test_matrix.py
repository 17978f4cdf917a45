"""The matrix's cells: one of each, and what each claims."""

from __future__ import annotations

import pytest

from lab_py.builtin import COEXISTENCE, load
from lab_py.evidence.checks import CallerProved, CountsRule, Logs, Observed
from lab_py.hops.base import judge
from lab_py.matrix import cells

HOPS = {hop.title: hop for _, hop in cells(load(COEXISTENCE))}


def test_there_is_one_of_each() -> None:
    kinds = ("plain", "ambient", "sidecar")
    assert set(HOPS) == {
        f"{one} to {other}, {where}" for one in kinds for other in kinds for where in ("same node", "other node")
    }
    assert not any(found.is_so for found in judge(list(HOPS.values()), Observed()))


@pytest.mark.parametrize(
    ("title", "translated"),
    [("plain to ambient, other node", 1), ("ambient to plain, same node", 0), ("sidecar to plain, other node", 0)],
)
def test_who_has_a_proxy_is_not_translated_by_the_node(title: str, translated: int) -> None:
    assert [check.exactly for check in HOPS[title].checks if isinstance(check, CountsRule)] == [translated]


def test_who_has_a_proxy_proves_itself_to_ztunnel() -> None:
    [plain] = [check for check in HOPS["plain to ambient, same node"].checks if isinstance(check, Logs)]
    [ambient] = [check for check in HOPS["ambient to ambient, same node"].checks if isinstance(check, Logs)]
    assert plain.fields["src.identity"] is None
    assert ambient.fields["src.identity"] == "spiffe://cluster.local/ns/default/sa/ambient-a"


def test_a_sidecar_believes_sidecars_alone() -> None:
    """ztunnel calls a pod with a sidecar in the clear: its workload says TCP."""
    [ambient] = [check for check in HOPS["ambient to sidecar, other node"].checks if isinstance(check, CallerProved)]
    [sidecar] = [check for check in HOPS["sidecar to sidecar, other node"].checks if isinstance(check, CallerProved)]
    assert ambient.identity is None
    assert sidecar.identity == "spiffe://cluster.local/ns/default/sa/sidecar-a"
