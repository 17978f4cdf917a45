"""Every name that dashboards of ztunnel ask for, as a real scraper's parser sees it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mesh_py.telemetry.exposition import render
from mesh_py.telemetry.facts import ConnectionFacts, Party
from mesh_py.telemetry.instruments import Counter
from mesh_py.telemetry.labels import on_demand_dns_values
from mesh_py.telemetry.metrics import Metrics
from mesh_py.telemetry.snapshot import decode_snapshot, encode_snapshot, merge
from tests.support.require import reference_data

if TYPE_CHECKING:
    from prometheus_client.core import Metric

# Sample name and the labels that queries use; what a scraper adds (pod, app, container) is not ours.
DASHBOARD = [
    ("istio_build", {"component", "tag"}),
    ("istio_tcp_connections_opened_total", set()),
    ("istio_tcp_connections_closed_total", set()),
    ("istio_tcp_sent_bytes_total", set()),
    ("istio_tcp_received_bytes_total", set()),
    ("istio_tcp_sockets_open", {"reporter"}),
    ("istio_dns_requests_total", set()),
    ("istio_xds_connection_terminations_total", {"reason"}),
    ("istio_xds_message_total", {"url"}),
    ("workload_manager_active_proxy_count", set()),
    ("workload_manager_pending_proxy_count", set()),
    ("process_open_fds", set()),
]
FURTHER = [
    ("istio_tcp_connections_failed_total", {"reporter", "response_flags"}),
    ("istio_on_demand_dns_total", {"hostname", "source_workload"}),
    ("istio_crl_policy_rejections_total", {"reporter"}),
    ("istio_crl_untracked_connections_total", {"reporter"}),
    ("istio_xds_message_bytes_total", {"url"}),
    ("istio_dns_upstream_requests_total", {"request_query_type", "request_protocol"}),
    ("istio_dns_upstream_failures_total", {"source_canonical_service", "source_canonical_revision"}),
    ("istio_dns_upstream_request_duration_seconds_bucket", {"le", "request_query_type"}),
    ("workload_manager_proxies_started_total", set()),
    ("workload_manager_proxies_stopped_total", set()),
    ("process_max_fds", set()),
]
STABLE = {
    "istio_build",
    "istio_tcp_connections_opened",
    "istio_tcp_connections_closed",
    "istio_tcp_received_bytes",
    "istio_tcp_sent_bytes",
    "process_open_fds",
    "process_max_fds",
}
FROM_SCRAPERS = {"container_memory_working_set_bytes", "container_cpu_usage_seconds_total"}


def busy_metrics() -> Metrics:
    """Everything counted at least once."""
    metrics = Metrics("1.30-test")
    series = metrics.traffic.open(ConnectionFacts("source", Party(workload="sleep"), None))
    series.close("CONNECT")
    metrics.traffic.sockets.are_counted = True
    metrics.traffic.sockets.source += 1
    dns = ("A", "udp", "sleep", "v1")
    metrics.dns_requests.increase(dns)
    metrics.dns_upstream_requests.increase(dns)
    metrics.dns_upstream_failures.increase(dns)
    metrics.dns_upstream_seconds.observe(0.002, dns)
    metrics.on_demand_dns.increase(on_demand_dns_values(Party(), "db.example.com"))
    metrics.xds_terminations.increase(("Reconnect",))
    metrics.xds_messages.increase(("type.googleapis.com/istio.workload.Address",))
    metrics.xds_bytes.increase(("type.googleapis.com/istio.workload.Address",), 100)
    metrics.crl_rejections.increase(("source",))
    metrics.crl_untracked.increase(("source",))
    metrics.active_proxies.set(1)
    metrics.pending_proxies.set(0)
    metrics.proxies_started.increase()
    metrics.proxies_stopped.increase()
    return metrics


def scraped(metrics: Metrics) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families("".join(render(metrics.snapshot())))}


def labels_by_sample(metrics: Metrics) -> dict[str, set[str]]:
    return {sample.name: set(sample.labels) for family in scraped(metrics).values() for sample in family.samples}


@pytest.mark.parametrize(("name", "labels"), [*DASHBOARD, *FURTHER])
def test_the_name_is_there_with_its_labels(name: str, labels: set[str]):
    found = labels_by_sample(busy_metrics())
    assert name in found
    assert labels <= found[name]


def test_the_real_dashboard_asks_for_nothing_else():
    text = (reference_data() / "grafana-ztunnel-dashboard.json").read_text()
    queries = re.findall(r'"expr": ("(?:[^"\\]|\\.)*")', text)
    assert queries
    asked = {name for query in queries for name in re.findall(r"([a-z][a-z_]*_[a-z]+)\{", json.loads(query))}
    assert asked - FROM_SCRAPERS <= set(labels_by_sample(busy_metrics()))


def test_help_ends_in_a_dot_and_tells_what_may_change():
    for name, family in scraped(busy_metrics()).items():
        assert family.documentation.endswith(".")
        assert family.documentation.endswith("(unstable).") is (name not in STABLE), name


def test_an_idle_proxy_shows_its_version_and_files_only():
    assert set(scraped(Metrics())) == {"istio_build", "process_open_fds", "process_max_fds"}


def test_the_version_is_a_label():
    build = scraped(Metrics("1.30.0"))["istio_build"].samples[0]
    assert (build.labels, build.value) == ({"component": "ztunnel", "tag": "1.30.0"}, 1)


def test_no_open_socket_is_shown_as_zero_where_somebody_counts():
    metrics = Metrics()
    assert "istio_tcp_sockets_open" not in scraped(metrics)
    metrics.traffic.sockets.are_counted = True
    metrics.traffic.sockets.destination += 1
    samples = scraped(metrics)["istio_tcp_sockets_open"].samples
    assert {sample.labels["reporter"]: sample.value for sample in samples} == {"source": 0, "destination": 1}


def test_numbers_kept_elsewhere_are_asked_for():
    metrics, pool = Metrics(), {"open": 3}
    counter = metrics.register(Counter("hbone_pool_connections", "Connections of the pool (unstable)"))
    metrics.before_snapshot(lambda: counter.family.samples.update({(): [pool["open"]]}))
    pool["open"] = 4
    assert scraped(metrics)["hbone_pool_connections"].samples[0].value == 4


def test_a_name_is_taken_once():
    metrics = Metrics()
    with pytest.raises(ValueError, match="istio_dns_requests"):
        metrics.register(Counter("istio_dns_requests", "Again"))


def test_dropped_series_are_counted():
    metrics = Metrics(series_limit=4)
    for number in range(10):
        metrics.traffic.open(ConnectionFacts("source", Party(workload=str(number)), None)).close()
    dropped = scraped(metrics)["hbone_metric_series_dropped"].samples[0].value
    assert dropped == metrics.traffic.dropped_series > 0


def test_lost_log_lines_are_counted_once_there_are_any():
    metrics, lost = Metrics(), [0]
    metrics.count_lost_lines(lambda: lost[0])
    assert "hbone_log_lines_lost" not in scraped(metrics)
    lost[0] = 7
    assert scraped(metrics)["hbone_log_lines_lost"].samples[0].value == 7


def test_two_workers_look_like_one_proxy():
    parts = [decode_snapshot(encode_snapshot(busy_metrics().snapshot())) for _ in range(2)]
    text = "".join(render(merge(parts)))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["istio_build"].samples[0].value == 1
    assert families["istio_tcp_connections_opened"].samples[0].value == 2
    assert families["istio_dns_upstream_request_duration_seconds"].samples[-1].value == pytest.approx(0.004)


def test_a_snapshot_counts_no_further():
    metrics = busy_metrics()
    before = metrics.snapshot()
    metrics.traffic.open(ConnectionFacts("source", Party(workload="sleep"), None)).received_bytes += 10
    metrics.dns_requests.increase(("A", "udp", "sleep", "v1"))
    assert before.traffic[0].opened == 1
    counts = {family.name: family.samples for family in before.families}
    assert counts["istio_dns_requests"] == {("A", "udp", "sleep", "v1"): [1]}
