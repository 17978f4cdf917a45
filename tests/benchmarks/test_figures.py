"""What becomes of a measurement."""

from benchmarks.arena import Measured
from benchmarks.figures import metrics_of
from benchmarks.plan import Kind
from benchmarks.processes import Usage


def test_cpu_is_shared_out_over_bytes_and_operations() -> None:
    said = {"gbit_s": 4, "bytes": 2_000_000_000}
    measured = Measured(said, {"outbound": Usage(1, 2, 50), "inbound": Usage(1, 0, 60)})
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
    assert metrics_of(Measured({"gbit_s": 4, "bytes": 1}, {}), Kind.BULK) == {"gbit_s": 4}
    assert metrics_of(Measured({}, {}), Kind.IDLE) == {}
