"""Our processes in the lab: where, as whom, and with what they are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.builtin import load
from lab_py.control_plane import ControlPlane
from lab_py.peers.python import Cast, peers
from lab_py.topology import Design, Kind
from lab_py.world import WorldFiles

if TYPE_CHECKING:
    from lab_py.peers.base import Peer

FILES = WorldFiles(Path("/state"))


def started(scenario: str, design: Design = Design.TUNNELS, cast: Cast | None = None) -> dict[str, Peer]:
    topology = replace(load(scenario), design=design)
    return {peer.name: peer for peer in peers(topology, FILES, cast or Cast())}


def test_a_ztunnel_runs_where_it_has_pods_to_serve() -> None:
    found = started("sidecar-to-waypoint")
    assert list(found) == ["istiod", "app-helloworld", "zt-node-d", "sidecar-sleep", "waypoint-waypoint"]
    ztunnel = found["zt-node-d"]
    assert ztunnel.namespace == "zt-node-d"
    assert ztunnel.environment["NODE_NAME"] == "node-d"
    assert {peer.name for peer in found.values() if peer.is_proxy} == set(found) - {"istiod", "app-helloworld"}


def test_proxies_are_told_by_the_control_plane_or_by_files() -> None:
    by_istiod = started("sidecar-to-waypoint")["sidecar-sleep"].environment
    assert by_istiod["XDS_ADDRESS"] == by_istiod["CA_ADDRESS"] == "https://172.18.0.1:15012"
    assert by_istiod["AUTH_TOKEN"] == "/state/tokens/sidecar-sleep"
    assert "LOCAL_XDS_PATH" not in by_istiod
    from_files = started("sidecar-to-waypoint", cast=Cast(control_plane=ControlPlane.FILE))
    assert "istiod" not in from_files
    told = from_files["sidecar-sleep"].environment
    assert (told["LOCAL_XDS_PATH"], told["XDS_ADDRESS"]) == ("/state/mesh.yaml", "")


def test_the_cast_in_words() -> None:
    assert (
        str(Cast(envoys={Kind.WAYPOINT, Kind.SIDECAR})) == "told by istiod_py, the real Envoy as sidecar and waypoint"
    )
    assert str(Cast(control_plane=ControlPlane.FILE)) == "told by files"


def test_a_sidecar_is_known_by_its_uid_or_by_its_mark() -> None:
    by_uid = started("ambient-to-sidecar")["sidecar-httpbin"]
    by_mark = started("ambient-to-sidecar", cast=Cast(by_uid=False))["sidecar-httpbin"]
    assert (by_uid.uid, by_uid.environment.get("PACKET_MARK")) == (1337, None)
    assert (by_mark.uid, by_mark.environment.get("PACKET_MARK")) == (None, "1337")
    assert by_uid.namespace == by_mark.namespace == "httpbin"


def test_todays_ztunnel_is_handed_its_pods_by_the_nodes_agent() -> None:
    found = started("sidecar-to-waypoint", Design.IN_POD)
    agent, ztunnel = found["agent-node-d"], found["zt-node-d"]
    assert list(found).index(agent.name) < list(found).index(ztunnel.name)
    assert agent.namespace == "node-d"
    assert ztunnel.environment["PROXY_MODE"] == "shared"
    assert ztunnel.environment["INPOD_UDS"] == "/run/node-d.zds" == agent.command[agent.command.index("--socket") + 1]
    pod = "Kubernetes//Pod/default/helloworld=default/helloworld/helloworld@/run/netns/helloworld"
    assert agent.command[-1] == pod
    assert found["sidecar-sleep"].environment["WAYPOINT_FORM"] == "today"
    assert "WAYPOINT_FORM" not in started("sidecar-to-waypoint")["sidecar-sleep"].environment


def test_an_application_listens_on_all_addresses_of_its_pod() -> None:
    application = started("ambient-to-sidecar")["app-httpbin"]
    assert list(application.command[-6:]) == ["--host", "0.0.0.0", "--port", "8000", "--name", "httpbin"]
    assert application.ready == (8000, "/healthz")
