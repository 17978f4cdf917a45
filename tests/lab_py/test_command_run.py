"""The scenarios for real: one request each, every hop proved by what was seen of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab_py.labs import Nobody, lab, require_lab
from tests.support.require import require_envoy

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.privileged]


@pytest.mark.parametrize(
    ("arguments", "hops", "machine"),
    [
        pytest.param(["ambient-to-sidecar", "--peer", "sidecar=envoy"], 8, "1337, told by istiod_py, the real Envoy"),
    ],
    ids=["Envoy as the server's sidecar"],
)
def test_every_hop_is_observed(tmp_path: Path, arguments: list[str], hops: int, machine: str) -> None:
    require_lab()
    require_envoy()
    done = lab(tmp_path, "run", *arguments, "-o", "json")
    assert machine in whole(done, hops)["machine"]
    assert list((tmp_path / "hbone-lab-0").iterdir()) == []


@pytest.fixture(scope="module")
def nobody() -> Iterator[Nobody]:
    """A user without any right."""
    require_lab()
    made = Nobody()
    yield made
    made.leave()


@pytest.mark.parametrize(
    ("arguments", "hops"),
    [
        pytest.param(["sidecar-to-ambient", "--tunnel", "packet"], 9, id="tunnels by packet sockets"),
        pytest.param(["ambient-to-sidecar"], 8, marks=pytest.mark.soak, id="ambient to sidecar"),
        pytest.param(["sidecar-to-waypoint"], 10, marks=pytest.mark.soak, id="sidecar to waypoint"),
        pytest.param(["sidecar-to-waypoint", "--design", "in-pod"], 8, marks=pytest.mark.soak, id="in-pod"),
    ],
)
def test_a_user_without_rights_has_all_of_it(nobody: Nobody, arguments: list[str], hops: int) -> None:
    machine = whole(nobody.lab("run", *arguments, "-o", "json"), hops)["machine"]
    assert "sidecars known by mark 1337" in machine
    assert nobody.left == []


@pytest.mark.soak
def test_a_user_without_rights_breaks_and_mends(nobody: Nobody) -> None:
    done = nobody.lab("faults", "sidecar-to-ambient", "tunnel", "certificate", "mtu", "rp-filter", "ztunnel", "policy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert nobody.lab("doctor").returncode == 0


def whole(done: subprocess.CompletedProcess[str], hops: int) -> dict[str, Any]:
    """What a run of so many hops told, all of them observed."""
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert [hop["hop"] for hop in found["hops"]] == [str(number) for number in range(1, hops + 1)]
    assert found["ok"]
    assert found["times"].keys() == {"built", "up", "first_request", "down"}
    return found


@pytest.mark.soak
@pytest.mark.parametrize(
    "arguments",
    [
        ["sidecar-to-ambient", "--peer", "sidecar=envoy"],
        ["ambient-to-sidecar", "--peer", "sidecar=envoy", "--design", "in-pod"],
        ["sidecar-to-waypoint", "--peer", "sidecar=envoy", "--peer", "waypoint=envoy", "--design", "in-pod"],
        ["sidecar-to-waypoint", "--control-plane", "file"],
    ],
    ids=["the client's sidecar", "today's design", "both", "no control plane"],
)
def test_whoever_plays_a_part_the_hops_are_the_same(tmp_path: Path, arguments: list[str]) -> None:
    require_lab()
    require_envoy()
    done = lab(tmp_path, "run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.soak
def test_a_page_has_both_designs(tmp_path: Path) -> None:
    require_lab()
    page = tmp_path / "out.html"
    done = lab(tmp_path, "run", "ambient-to-sidecar", "--html", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "beside it, design in-pod: all 6 hops observed as predicted" in done.stdout
    assert page.read_text().count("<article ") == 8 + 6


@pytest.mark.soak
def test_a_sidecar_that_takes_hbone(tmp_path: Path) -> None:
    require_lab()
    done = lab(tmp_path, "run", "ambient-to-hbone", "--step")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it was told of spiffe://cluster.local/ns/default/sa/sleep" in done.stdout, (
        "here the sidecar knows who calls"
    )
    assert "hop (8) of 8: observed" in done.stdout
    assert "every hop is shown, and nothing is waited for" in done.stderr


@pytest.mark.soak
def test_what_is_left_out_is_missed(tmp_path: Path) -> None:
    require_lab()
    done = lab(tmp_path, "run", "ambient-to-sidecar", "--without", "httpbin/B-IN-REDIRECT")
    assert done.returncode == 1
    assert "NO (7)" in done.stdout
    assert "counter httpbin B-IN-REDIRECT: no such rule" in done.stdout
    assert "peer=10.244.1.10:" in done.stdout, "the application sees who called, for no sidecar is in between"


def test_todays_design_misses_what_is_left_out_of_a_pod(tmp_path: Path) -> None:
    """Without C1 the application's answer leaves the pod for the client, who never asked."""
    require_lab()
    done = lab(
        tmp_path, "faults", "sidecar-to-ambient", "httpbin/C1", "certificate", "--design", "in-pod", "-o", "json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tries = json.loads(done.stdout)["tries"]
    assert [(one["hop"], one["culprit"]) for one in tries] == [
        (None, None), ("7", "httpbin/C1"), ("7", "certificate httpbin"), (None, None),
    ]  # fmt: skip


def test_a_topology_of_ones_own(tmp_path: Path) -> None:
    """HBONE is not what a plain pod speaks: no hops are described, and nothing is built."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        "nodes: [one, two]\n"
        "pods:\n- {name: a, node: one, kind: plain}\n- {name: b, node: two, kind: plain, port: 80}\n"
        "services:\n- {name: web, port: 80, pods: [b]}\n"
        "request: {from: a, to: web}\n"
    )
    done = lab(tmp_path, "run", str(file))
    assert done.returncode == 2
    assert "no hops are described for plain a to plain b" in done.stderr
