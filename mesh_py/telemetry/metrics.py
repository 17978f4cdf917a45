"""Every metric of a proxy under ztunnel's names (hbone-dataplane 7.2).

The roles count on the attributes; `snapshot()` is taken when somebody scrapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mesh_py.telemetry.instruments import Counter, Gauge, Histogram, Instrument
from mesh_py.telemetry.labels import ON_DEMAND_DNS_LABELS
from mesh_py.telemetry.process import process_families
from mesh_py.telemetry.snapshot import SeriesCounts, Snapshot
from mesh_py.telemetry.traffic import DEFAULT_SERIES_LIMIT, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

_DNS_LABELS = (
    "request_query_type",
    "request_protocol",
    "source_canonical_service",
    "source_canonical_revision",
)
_DNS_SECONDS = (0.0005, 0.001, 0.01, 0.1, 1.0, 5.0)

AnyInstrument = TypeVar("AnyInstrument", bound=Instrument)


class Metrics:
    """The metrics of one process.

    `tag` is the version shown by `istio_build`. Whoever keeps numbers elsewhere (a pool, the log) registers a
    callable with `before_snapshot` that copies them into its instrument.
    """

    def __init__(
        self, tag: str = "unknown", *, component: str = "ztunnel", series_limit: int = DEFAULT_SERIES_LIMIT
    ) -> None:
        self.traffic = Traffic(series_limit)
        self._instruments: dict[str, Instrument] = {}
        self._before: list[Callable[[], None]] = []
        self._declare_build(component, tag)
        self._declare_connections()
        self._declare_dns()
        self._declare_control_plane()
        self._declare_own()

    def register(self, instrument: AnyInstrument) -> AnyInstrument:
        """Show one more family. Raises ValueError if its name is taken."""
        name = instrument.family.name
        if name in self._instruments:
            raise ValueError(f"there is a metric {name} already")
        self._instruments[name] = instrument
        return instrument

    def before_snapshot(self, refresh: Callable[[], None]) -> Callable[[], None]:
        """Call `refresh` whenever the numbers are about to be read, until the returned function is called."""
        self._before.append(refresh)
        return lambda: self._before.remove(refresh)

    def count_lost_lines(self, lost: Callable[[], int]) -> None:
        """Show how many log lines were lost so far (`LogSink.dropped`)."""
        counter = self._counter("hbone_log_lines_lost", "Log lines nobody read in time")

        def refresh() -> None:
            if count := lost():
                counter.family.samples[()] = [count]

        self.before_snapshot(refresh)

    def snapshot(self) -> Snapshot:
        """All numbers now, as a copy."""
        for refresh in self._before:
            refresh()
        self._refresh_own()
        return Snapshot(
            [SeriesCounts.of(series) for series in self.traffic],
            [*(instrument.family.copy() for instrument in self._instruments.values()), *process_families()],
        )

    def _declare_build(self, component: str, tag: str) -> None:
        build = Gauge("istio_build", "The component and its version", ("component", "tag"), join="max")
        self.register(build).set(1, (component, tag))

    def _declare_connections(self) -> None:
        self.sockets_open = self._gauge("istio_tcp_sockets_open", "Accepted sockets now open", ("reporter",))
        self.crl_rejections = self._counter(
            "istio_crl_policy_rejections", "Connections ended by a revocation list", ("reporter",)
        )
        self.crl_untracked = self._counter(
            "istio_crl_untracked_connections", "Connections that no revocation can end later", ("reporter",)
        )

    def _declare_dns(self) -> None:
        self.on_demand_dns = self._counter(
            "istio_on_demand_dns", "Lookups of workloads known by name", ON_DEMAND_DNS_LABELS
        )
        self.dns_requests = self._counter("istio_dns_requests", "DNS requests received", _DNS_LABELS)
        self.dns_upstream_requests = self._counter("istio_dns_upstream_requests", "DNS requests forwarded", _DNS_LABELS)
        self.dns_upstream_failures = self._counter(
            "istio_dns_upstream_failures", "Forwarded DNS requests that failed", _DNS_LABELS
        )
        name = "istio_dns_upstream_request_duration_seconds"
        text = "Time a forwarded DNS request took (unstable)"
        self.dns_upstream_seconds = self.register(Histogram(name, text, _DNS_LABELS, bounds=_DNS_SECONDS))

    def _declare_control_plane(self) -> None:
        self.xds_terminations = self._counter(
            "istio_xds_connection_terminations", "Discovery connections that ended", ("reason",)
        )
        self.xds_messages = self._counter("istio_xds_message", "Discovery messages received", ("url",))
        self.xds_bytes = self._counter("istio_xds_message_bytes", "Bytes of discovery messages received", ("url",))
        self.unanswered_lookups = self._counter(
            "hbone_on_demand_unanswered", "Connections to addresses that discovery told nothing about", ("outcome",)
        )
        self.active_proxies = self._gauge("workload_manager_active_proxy_count", "Workloads now served")
        self.pending_proxies = self._gauge("workload_manager_pending_proxy_count", "Workloads not served yet")
        self.proxies_started = self._counter("workload_manager_proxies_started", "Workloads taken into service")
        self.proxies_stopped = self._counter("workload_manager_proxies_stopped", "Workloads taken out of service")

    def _declare_own(self) -> None:
        self._dropped_series = self._counter(
            "hbone_metric_series_dropped", "Idle traffic series dropped to bound memory"
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return self.register(Counter(name, f"{text} (unstable)", labels))

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return self.register(Gauge(name, f"{text} (unstable)", labels))

    def _refresh_own(self) -> None:
        if self.traffic.sockets.are_counted:
            for reporter, count in self.traffic.sockets.items():
                self.sockets_open.set(count, (reporter,))
        if self.traffic.dropped_series:
            self._dropped_series.family.samples[()] = [self.traffic.dropped_series]
