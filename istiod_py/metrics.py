"""Every metric of the control plane, under the names people know from istiod's dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mesh_py.telemetry.exposition import render_classic
from mesh_py.telemetry.instruments import Counter, Gauge, Histogram, Instrument
from mesh_py.telemetry.process import process_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

AnyInstrument = TypeVar("AnyInstrument", bound=Instrument)

_SECONDS = (0.01, 0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0)

SHORT_TYPES = {
    "Cluster": "cds",
    "ClusterLoadAssignment": "eds",
    "Listener": "lds",
    "RouteConfiguration": "rds",
    "Secret": "sds",
    "Address": "wds",
    "Workload": "workload",
    "Authorization": "wads",
    "ProxyConfig": "hbone",
}


def short_type(type_url: str) -> str:
    """What metrics and debug pages call a type: `cds`, `wds`; `other` for those we do not know."""
    return SHORT_TYPES.get(type_url.rpartition(".")[2], "other")


class IstiodMetrics:
    """The metrics of one process. `refresh` callables copy in what is counted elsewhere."""

    def __init__(self, version: str) -> None:
        self._instruments: list[Instrument] = []
        self._before: list[Callable[[], None]] = []
        self._version = version
        self._gauge("pilot_info", "The version and build", ("version",)).set(1, (version,))
        self._declare_discovery()
        self._declare_mesh()
        self._declare_authority()

    def before_reading(self, refresh: Callable[[], None]) -> None:
        """Call `refresh` whenever the numbers are about to be read."""
        self._before.append(refresh)

    def text(self) -> Iterator[str]:
        """All numbers now, in the text format that Prometheus scrapes."""
        for refresh in self._before:
            refresh()
        families = [instrument.family for instrument in self._instruments]
        return render_classic([*families, *process_families()])

    def connected(self, change: int) -> None:
        """A discovery stream came (1) or went (-1)."""
        self.clients.change(change, (self._version,))

    def count_connections(self, open_now: int, so_far: Mapping[str, int]) -> None:
        """Take over what the gRPC server has counted: connections by what became of them."""
        self.connections_open.set(open_now)
        for outcome, count in so_far.items():
            self.connections.family.samples[(outcome,)] = [count]

    def _declare_discovery(self) -> None:
        self.connections = self._counter("istiod_grpc_connections", "gRPC connections so far", ("outcome",))
        self.connections_open = self._gauge("istiod_grpc_connections_open", "gRPC connections now")
        self.clients = self._gauge("pilot_xds", "Proxies connected by xDS", ("version",))
        self.pushes = self._counter("pilot_xds_pushes", "Answers and pushes sent", ("type",))
        self.rejects = self._counter("pilot_total_xds_rejects", "Pushes that proxies refused", ("type",))
        self.internal_errors = self._counter("pilot_total_xds_internal_errors", "Faults of ours while answering")
        self.expired_nonces = self._counter("pilot_xds_expired_nonce", "Requests with a stale nonce", ("type",))
        self.write_timeouts = self._counter("pilot_xds_write_timeout", "Proxies cut off because they did not read")
        self.turned_away = self._counter("pilot_xds_turned_away", "Discovery streams refused", ("reason",))
        self.config_bytes = self._counter("pilot_xds_config_bytes", "Bytes of configuration sent", ("type",))
        name = "pilot_proxy_convergence_time"
        self.convergence = self._histogram(name, "Seconds from a change until a proxy has been sent all of it")
        self.send_time = self._histogram("pilot_xds_send_time", "Seconds to send one answer")
        self.push_time = self._histogram("pilot_push_build_time", "Seconds to build a new state")
        self.push_triggers = self._counter("pilot_push_triggers", "What made us push", ("type",))

    def _declare_mesh(self) -> None:
        self.inbound_updates = self._counter("pilot_inbound_updates", "Changes of the folder", ("type",))
        self.config_errors = self._gauge("pilot_config_errors", "Faults in the folder now")
        self.services = self._gauge("pilot_services", "Services known")
        self.workloads = self._gauge("pilot_workloads", "Workloads known")
        self.policies = self._gauge("pilot_policies", "Policies known")

    def _declare_authority(self) -> None:
        self.csrs = self._counter("citadel_server_csr_count", "Signing requests received")
        self.certificates = self._counter(
            "citadel_server_success_cert_issuance_count", "Certificates issued", ("impersonated",)
        )
        self.authentication_failures = self._counter(
            "citadel_server_authentication_failure_count", "Callers that could not prove who they are", ("reason",)
        )
        self.impersonation_failures = self._counter(
            "citadel_server_impersonation_failure_count", "Callers that may not speak for others", ("reason",)
        )
        self.identity_mismatches = self._counter(
            "pilot_xds_identity_mismatch", "Proxies that claimed another identity than their token's"
        )
        self.csr_faults = self._counter("citadel_server_csr_parsing_err_count", "Signing requests that cannot be used")
        self.sign_faults = self._counter("citadel_server_csr_sign_err_count", "Signing that failed", ("error",))
        self.root_expiry = self._gauge("citadel_server_root_cert_expiry_timestamp", "When the root expires")
        self.chain_expiry = self._gauge("citadel_server_cert_chain_expiry_timestamp", "When the signer expires")

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return self._keep(Counter(name, text, labels))

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return self._keep(Gauge(name, text, labels))

    def _histogram(self, name: str, text: str) -> Histogram:
        return self._keep(Histogram(name, text, bounds=_SECONDS))

    def _keep(self, instrument: AnyInstrument) -> AnyInstrument:
        self._instruments.append(instrument)
        return instrument
