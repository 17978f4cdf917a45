"""The real Envoy as a contestant: traffic goes through it, and the wire and its own counters agree on how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.arena import Arena, Measured, metrics_of
from benchmarks.certificates import make_certificates
from benchmarks.peers.envoy import DEFAULT_WINDOWS, Envoy, ciphers
from benchmarks.peers.envoy_sidecars import EnvoySidecars
from benchmarks.peers.our_sidecars import OurSidecars
from benchmarks.peers.ours import Ours
from benchmarks.plan import Contestant, Kind, Logging, choose_scenarios
from benchmarks.processes import BenchmarkError, Usage
from benchmarks.world import Capture, Topology
from tests.support.require import require_envoy, require_netns, require_tool

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.interop
@pytest.mark.privileged
@pytest.mark.parametrize("capture", list(Capture))
def test_envoy_is_measured(tmp_path: Path, capture: Capture) -> None:
    require_envoy()
    require_netns()
    for tool in ("gcc", "iptables", "iperf3"):
        require_tool(tool)
    certificates = make_certificates(tmp_path / "certificates")
    contestant = Contestant("envoy", "", Logging.TUNNEL)
    with Arena(contestant, Envoy(DEFAULT_WINDOWS), certificates, tmp_path / "run", Topology.LOOPBACK, capture) as arena:
        assert arena.tls is not None
        for scenario in choose_scenarios(["bulk-1-down", "connect-1-awake"]):
            metrics = metrics_of(arena.measure(scenario, 0.3), scenario.kind)
            assert metrics["gbit_s" if scenario.kind is Kind.BULK else "per_second"] > 0
        assert list(ciphers(arena.world)) == [arena.tls.suite]
        assert arena.pair.inbound is not None
        arena.pair.inbound.kill()
        arena.pair.inbound.wait()
        with pytest.raises(BenchmarkError, match="the inbound proxy has ended with status -9"):
            arena.measure(scenario, 0.3)


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("topology", "capture"), [(Topology.LOOPBACK, Capture.PROXY), (Topology.VETH, Capture.REDIRECT)]
)
def test_our_pair_is_measured(tmp_path: Path, topology: Topology, capture: Capture) -> None:
    require_netns()
    for tool in ("gcc", "iptables", "iperf3"):
        require_tool(tool)
    certificates = make_certificates(tmp_path / "certificates")
    contestant = Contestant("ours", "", Logging.TUNNEL)
    with Arena(contestant, Ours(), certificates, tmp_path / "run", topology, capture) as arena:
        assert arena.tls is not None
        assert arena.tls.suite.startswith("TLS_AES_")
        for scenario in choose_scenarios(["bulk-1-up", "connect-1", "idle"]):
            metrics = metrics_of(arena.measure(scenario, 0.3), scenario.kind)
            assert metrics["rss_mb"] > 0
            assert metrics.get("errors", 0) == 0


@pytest.mark.interop
@pytest.mark.privileged
@pytest.mark.parametrize("peer", [EnvoySidecars(), OurSidecars()], ids=["Envoy", "ours"])
@pytest.mark.parametrize(
    ("topology", "capture"), [(Topology.LOOPBACK, Capture.PROXY), (Topology.VETH, Capture.REDIRECT)]
)
def test_sidecars_are_measured_and_say_the_same(
    tmp_path: Path, peer: EnvoySidecars | OurSidecars, topology: Topology, capture: Capture
) -> None:
    """Requests go through both, by mutual TLS; each side has a line for every one."""
    require_envoy()
    require_netns()
    for tool in ("gcc", "iptables"):
        require_tool(tool)
    certificates = make_certificates(tmp_path / "certificates")
    contestant = Contestant("", "sidecars", Logging.TUNNEL)
    scenario = choose_scenarios(["http-1"])[0]
    with Arena(contestant, peer, certificates, tmp_path / "run", topology, capture) as arena:
        assert arena.tls is not None
        metrics = metrics_of(arena.measure(scenario, 0.3), scenario.kind)
    assert metrics["per_second"] > 0
    for account in ("client", "server"):
        told = [path.read_text() for path in (tmp_path / "run").glob(f"{account}.*")]
        assert sum(text.count('"GET /items/7?colour=blue HTTP/1.1" 200 - via_upstream') for text in told) > 3


def test_cpu_is_shared_out_over_bytes_and_operations() -> None:
    measured = Measured({"gbit_s": 4, "bytes": 2_000_000_000}, Usage(1, 2, 50), Usage(1, 0, 60))
    assert metrics_of(measured, Kind.BULK) == {
        "gbit_s": 4,
        "cpu_s_per_gb": 2,
        "cpu_user_s_per_gb": 1,
        "cpu_system_s_per_gb": 1,
        "outbound_cpu_s_per_gb": 1.5,
        "inbound_cpu_s_per_gb": 0.5,
        "outbound_rss_mb": 50,
        "inbound_rss_mb": 60,
        "rss_mb": 110,
    }


def test_without_proxies_there_is_no_cpu_to_tell() -> None:
    assert metrics_of(Measured({"gbit_s": 4, "bytes": 1}, None, None), Kind.BULK) == {"gbit_s": 4}
    assert metrics_of(Measured({}, None, None), Kind.IDLE) == {}
