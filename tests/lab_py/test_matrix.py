"""The matrix's cells: one of each, and what each claims."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab_py.builtin import COEXISTENCE, load
from lab_py.evidence.checks import CallerProved, CountsRule, Logs, Observed
from lab_py.evidence.travel import Carriage, Refused, Travelled
from lab_py.hops.base import Hop, judge
from lab_py.matrix import cells
from lab_py.topology import Design

HOPS = {hop.title: hop for _, hop in cells(load(COEXISTENCE))}
STRICT = {hop.title: hop for _, hop in cells(load(COEXISTENCE), is_strict=True)}


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


def carriages(hops: dict[str, Hop]) -> dict[str, Carriage | None]:
    return {
        title: check.carriage for title, hop in hops.items() for check in hop.checks if isinstance(check, Travelled)
    }


def test_a_call_travels_as_well_as_both_ends_can() -> None:
    found = carriages(HOPS)
    assert {title for title, one in found.items() if one is Carriage.MTLS} == {
        f"sidecar to sidecar, {where} node" for where in ("same", "other")
    }
    assert found["ambient to ambient, same node"] is Carriage.INSIDE
    assert found["ambient to ambient, other node"] is found["sidecar to ambient, same node"] is Carriage.HBONE
    assert found["ambient to sidecar, other node"] is found["plain to ambient, same node"] is Carriage.PLAIN


def test_in_pods_a_tunnel_between_two_of_one_node_is_on_the_wire() -> None:
    topology = replace(load(COEXISTENCE), design=Design.IN_POD)
    assert carriages({hop.title: hop for _, hop in cells(topology)})["ambient to ambient, same node"] is Carriage.HBONE


def test_strict_refuses_what_proves_nobody() -> None:
    """An ambient pod's ztunnel asks a pod with a sidecar in the clear: there coexistence ends."""
    refused = {title for title, hop in STRICT.items() if any(isinstance(check, Refused) for check in hop.checks)}
    pairs = ("plain to ambient", "plain to sidecar", "ambient to sidecar")
    assert refused == {f"{pair}, {where} node" for pair in pairs for where in ("same", "other")}
