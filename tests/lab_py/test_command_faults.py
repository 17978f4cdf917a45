"""Mutations for real: each piece is taken away, and what `explain` says of it must be right.

What `faults` tests itself by is its own table; these names stand here once more, with the hop that each must break, so
that neither the table nor the explanation can lose one unnoticed.
"""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.lab_py.labs import lab, require_lab
from tests.support.require import require_envoy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.privileged]

BROKEN_AT = {
    "N1": ("2", "node-a/N1"),  # kube-proxy's DNAT comes first, and all seems well
    "tunnel": ("3", "tunnel"),
    "rp-filter": ("5", "node-a/v-zt.rp_filter"),
    "httpbin/B-IN-REDIRECT": ("7", "httpbin/B-IN-REDIRECT"),
}
LABS_AT_ONCE = 3
EVERYTHING = [
    ("ambient-to-sidecar", "1.18", 25),
    ("ambient-to-hbone", "1.18", 25),
    ("sidecar-to-ambient", "1.18", 27),
    ("sidecar-to-waypoint", "1.18", 28),
    ("ambient-to-sidecar", "in-pod", 8),
    ("sidecar-to-ambient", "in-pod", 13),
]


def tried(folder: Path, *arguments: str) -> dict[str, dict[str, object]]:
    done = lab(folder, "faults", *arguments, "-o", "json", seconds=200)
    told = json.loads(done.stdout) if done.stdout else {"tries": []}
    assert [one for one in told["tries"] if not one["right"]] == [], done.stderr
    assert done.returncode == 0, done.stderr
    return {one["fault"]: one for one in told["tries"]}


def test_a_hop_is_missed_without_its_piece(tmp_path: Path) -> None:
    require_lab()
    found = tried(tmp_path, "ambient-to-sidecar", *BROKEN_AT)
    assert {name: (found[name]["hop"], found[name]["culprit"]) for name in BROKEN_AT} == BROKEN_AT
    assert found["nothing"]["hop"] is None, "the whole is observed, hop by hop"


@pytest.mark.soak
@pytest.mark.timeout(450)
def test_faults_of_a_control_planes_mesh_are_explained(tmp_path: Path) -> None:
    """Certificates are by its authority there, and Envoy has words of its own."""
    require_lab()
    require_envoy()
    options = ("--control-plane", "istiod")
    tried(tmp_path, "sidecar-to-ambient", "policy", "certificate", "O1", *options)
    tried(tmp_path, "ambient-to-sidecar", "policy", "sidecar", *options, "--peer", "sidecar=envoy")


Tries = dict[tuple[str, str], Future[dict[str, dict[str, object]]]]


@pytest.fixture(scope="module")
def tries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tries]:
    """By scenario and design, as many as have been chosen: labs stand beside each other, and mostly wait."""
    require_lab()
    callspecs = [item.callspec for item in request.session.items if "tries" in getattr(item, "fixturenames", ())]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(LABS_AT_ONCE) as labs:
        yield {
            (one.params["scenario"], one.params["design"]): labs.submit(
                tried, tmp_path_factory.mktemp("faults"), one.params["scenario"], "--design", one.params["design"]
            )
            for one in callspecs
        }


@pytest.mark.soak
@pytest.mark.timeout(250)
@pytest.mark.parametrize(("scenario", "design", "count"), EVERYTHING)
def test_every_fault_is_explained(tries: Tries, scenario: str, design: str, count: int) -> None:
    assert len(tries[scenario, design].result()) == count + 1, "and nothing, first and last"
