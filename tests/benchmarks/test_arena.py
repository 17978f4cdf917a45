"""The real Envoy as a contestant: traffic goes through it, and the wire and its own counters agree on how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.arena import Arena
from benchmarks.certificates import make_certificates
from benchmarks.figures import metrics_of
from benchmarks.peers.envoy import DEFAULT_WINDOWS, Envoy, ciphers
from benchmarks.peers.envoy_chain import EnvoyChain
from benchmarks.peers.envoy_sidecars import EnvoySidecars
from benchmarks.peers.our_chain import OurChain
from benchmarks.peers.our_sidecars import OurSidecars
from benchmarks.peers.ours import Ours
from benchmarks.plan import Contestant, Form, Kind
from benchmarks.processes import BenchmarkError
from benchmarks.scenarios import choose_scenarios
from benchmarks.world import Capture, Topology
from tests.support.require import require_envoy, require_netns, require_tool

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.peers.base import Peer


SECONDS = 0.3
"""Of measuring, in which even a busy machine has answers: that there are figures is asked, not what they are."""
TOGETHER, APART = (Topology.LOOPBACK, Capture.PROXY), (Topology.VETH, Capture.REDIRECT)


@pytest.mark.interop
@pytest.mark.privileged
@pytest.mark.parametrize("capture", list(Capture))
def test_envoy_is_measured(tmp_path: Path, capture: Capture) -> None:
    require_envoy()
    require_netns()
    for tool in ("gcc", "iptables"):
        require_tool(tool)
    certificates = make_certificates(tmp_path / "certificates")
    contestant = Contestant("envoy")
    with Arena(contestant, Envoy(DEFAULT_WINDOWS), certificates, tmp_path / "run", Topology.LOOPBACK, capture) as arena:
        for scenario in choose_scenarios(["bulk-1-down", "connect-1-awake"]):
            metrics = metrics_of(arena.measure(scenario, SECONDS), scenario)
            assert metrics["gbit_s" if scenario.kind is Kind.BULK else "per_second"] > 0
        assert list(ciphers(arena.world)) == [arena.tls["tunnel"].suite]
        arena.running.proxies["inbound"].kill()
        arena.running.proxies["inbound"].wait()
        with pytest.raises(BenchmarkError, match="the inbound proxy has ended with status -9"):
            arena.measure(scenario, SECONDS)


@pytest.mark.privileged
@pytest.mark.parametrize(("topology", "capture"), [TOGETHER, APART])
def test_our_pair_is_measured(tmp_path: Path, topology: Topology, capture: Capture) -> None:
    require_netns()
    for tool in ("gcc", "iptables"):
        require_tool(tool)
    certificates = make_certificates(tmp_path / "certificates")
    contestant = Contestant("ours")
    with Arena(contestant, Ours(), certificates, tmp_path / "run", topology, capture) as arena:
        assert arena.tls["tunnel"].suite.startswith("TLS_AES_")
        for scenario in choose_scenarios(["bulk-1-up", "connect-1", "beside"]):
            metrics = metrics_of(arena.measure(scenario, SECONDS), scenario)
            assert metrics.get("errors", 0) == 0


@pytest.mark.interop
@pytest.mark.privileged
@pytest.mark.parametrize(
    ("scenario", "peer", "surroundings", "legs"),
    [
        pytest.param("http-1", EnvoySidecars(), APART, 1, id="Envoy's sidecars"),
        pytest.param("http-1", OurSidecars(), TOGETHER, 1, id="our sidecars"),
        pytest.param("chain-1", EnvoyChain(), TOGETHER, 2, id="Envoy's chain"),
        pytest.param("chain-1", OurChain(), APART, 2, id="our chain"),
    ],
)
def test_layer_7_is_measured_and_all_say_the_same(
    tmp_path: Path, scenario: str, peer: Peer, surroundings: tuple[Topology, Capture], legs: int
) -> None:
    """Requests go through all, by mutual TLS; each proxy of layer 7 has a line for every one."""
    require_envoy()
    require_netns()
    for tool in ("gcc", "iptables"):
        require_tool(tool)
    certificates = make_certificates(tmp_path / "certificates")
    chosen = choose_scenarios([scenario])[0]
    contestant = Contestant("", stage=chosen.stage)
    with Arena(contestant, peer, certificates, tmp_path / "run", *surroundings) as arena:
        assert len(arena.tls) == legs
        metrics = metrics_of(arena.measure(chosen, SECONDS), chosen)
    assert metrics["per_second"] > 0
    for account in ("client", "server") if chosen.stage.form is Form.SIDECARS else ("client", "waypoint"):
        told = [path.read_text() for path in (tmp_path / "run").glob(f"{account}.*")]
        assert sum(text.count('"GET /items/7?bytes=100 HTTP/1.1" 200 - via_upstream') for text in told) > 3
