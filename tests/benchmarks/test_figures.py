"""What becomes of a measurement."""

import pytest

from benchmarks.arena import Measured
from benchmarks.figures import metrics_of
from benchmarks.processes import Usage
from benchmarks.scenarios import choose_scenarios

BULK, BESIDE, IDLE, SPLIT = (choose_scenarios([name])[0] for name in ("bulk-1", "beside", "idle", "workers-split"))


def test_cpu_is_shared_out_over_bytes_and_operations() -> None:
    said = {"gbit_s": 4, "bytes": 2_000_000_000}
    measured = Measured(said, {"outbound": Usage(1, 2, 50, 30, 4), "inbound": Usage(1, 0, 60, 10, 0)})
    assert metrics_of(measured, BULK) == {
        "gbit_s": 4,
        "cpu_s_per_gb": 2,
        "cpu_user_s_per_gb": 1,
        "cpu_system_s_per_gb": 1,
        "outbound_cpu_s_per_gb": 1.5,
        "inbound_cpu_s_per_gb": 0.5,
        "voluntary_switches_per_gb": 20,
        "involuntary_switches_per_gb": 2,
        "outbound_rss_mb": 50,
        "inbound_rss_mb": 60,
        "rss_mb": 110,
    }


def test_what_bulk_does_to_a_small_stream_is_p99_by_p99() -> None:
    said = {"per_second": 9, "p50_us": 2, "p99_us": 50, "quiet_p50_us": 1, "quiet_p99_us": 20}
    assert metrics_of(Measured(said, {}), BESIDE)["times_quiet"] == 2.5


def test_idle_tunnels_cost_what_is_held_more_than_before() -> None:
    measured = Measured({}, {"outbound": Usage(0, 0, 90), "inbound": Usage(0, 0, 60)}, rss_before_mb=100)
    assert metrics_of(measured, IDLE)["mb_per_1000"] == 5


@pytest.mark.parametrize(
    ("sockets", "share"),
    [
        pytest.param((0, 600, 400), 40, id="the parent takes none"),
        pytest.param((0, 0, 9), 0, id="one takes all"),
        pytest.param((), None, id="one worker has no children"),
    ],
)
def test_workers_share_connections(sockets: tuple[int, ...], share: float | None) -> None:
    assert metrics_of(Measured({}, {}, sockets=sockets), SPLIT).get("smaller_share") == share
