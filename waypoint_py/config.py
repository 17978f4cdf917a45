"""The settings of one waypoint process: read once at the start, never changed.

Below `app.py` nobody sees this bag, only the values it needs. Sources and names: `settings_table.py`.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hbone_py import Deadlines, Http2Config, TlsSettings
from hbone_py.aio.tcp import SocketOptions
from mesh_py.exchange.patience import Patience
from mesh_py.http.paths import Normalization
from mesh_py.identity.local_ca import user_folder
from mesh_py.identity.sources import CertificateSettings
from mesh_py.process.memory_limit import memory_limit
from mesh_py.settings.control_plane import CA, XDS, endpoint
from mesh_py.settings.discovery import POD_NAME, POD_NAMESPACE, SERVICE_ACCOUNT, DiscoverySettings, discovery
from mesh_py.settings.key_log import key_log
from mesh_py.settings.key_sets import KeySetSettings, key_sets
from mesh_py.settings.kinds import WorkloadInfo, is_loopback
from mesh_py.settings.source import Given, SettingsError, Values
from mesh_py.settings.tracing import tracing
from waypoint_py import settings_table as table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesh_py.identity.ca_client import CaSettings
    from mesh_py.settings.tracing import TracingSettings
    from mesh_py.telemetry.log_filter import LogFilter

__all__ = ["Ports", "Settings", "from_values"]


@dataclass(frozen=True, slots=True)
class Ports:
    """Listening ports; 0 takes any free one."""

    inbound: int = 15_008
    admin: int = 15_000
    stats: int = 15_020
    readiness: int = 15_021


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one process was told. Times are seconds, sizes bytes."""

    workload: WorkloadInfo
    """The workload it is."""
    network: str
    cluster_domain: str
    trust_domain: str
    """Of workloads that name none."""
    root_namespace: str
    """Whose policies may be for all waypoints."""
    gateway: str
    """The Gateway it serves; empty: told by labels and manifests."""

    local_xds_path: Path | None
    """Where the mesh is described: a file; ..."""
    local_xds: str | None
    """... or this text."""
    watch_file: bool
    """Follow edits of the file."""
    discovery: DiscoverySettings | None
    """The control plane to follow; None: there is none."""
    key_sets: KeySetSettings
    """How the keys of tokens are fetched."""
    certificates: CertificateSettings
    fake_ca_folder: Path

    bind: str | None
    """Address of the listeners; None: all addresses."""
    local_bind: str
    """Loopback address of 15000."""
    ports: Ports
    ipv6: bool

    path_normalization: Normalization
    patience: Patience
    http_pool_idle: float
    trusted_proxies: int
    """How many entries at the end of x-forwarded-for are believed."""
    max_connections: int

    tls: TlsSettings
    http2: Http2Config
    deadlines: Deadlines
    socket_options: SocketOptions
    pool_idle: float
    unread_budget: int
    drain_deadline: float

    log_filter: LogFilter
    log_json: bool
    tracing: TracingSettings | None
    """Where spans go; None: nowhere."""

    @property
    def bind_address(self) -> str:
        """Address of the listeners: `bind`, or all; `::` is meant for IPv4 too."""
        return self.bind or ("::" if self.ipv6 else "0.0.0.0")


def from_values(layers: Sequence[Mapping[str, Given]], environ: Mapping[str, str]) -> Settings:
    """Settings from values of several sources, the strongest first.

    Args:
        layers: values with their origins.
        environ: for what is not ours to name: `HOME`, `SSLKEYLOGFILE`.

    Raises:
        SettingsError: a value cannot be used, or two do not go together; one line.
    """
    values = Values(layers)
    for setting in table.TABLE.all:
        values[setting]  # every value must be readable, used or not
    bind, local_bind = _addresses(values)
    return Settings(
        workload=_workload(values),
        network=values[table.NETWORK],
        cluster_domain=values[table.CLUSTER_DOMAIN],
        trust_domain=values[table.TRUST_DOMAIN],
        root_namespace=values[table.ROOT_NAMESPACE],
        key_sets=key_sets(values),
        gateway=values[table.GATEWAY_NAME],
        **_mesh(values),
        discovery=_discovery(layers, _workload(values), environ),
        certificates=_certificates(values, environ),
        fake_ca_folder=values[table.FAKE_CA_DIR] or user_folder(environ),
        bind=bind,
        local_bind=local_bind,
        ports=_ports(values),
        ipv6=values[table.IPV6_ENABLED],
        path_normalization=Normalization(values[table.PATH_NORMALIZATION]),
        patience=Patience(
            head=values[table.HTTP_HEAD_TIMEOUT],
            silence=values[table.HTTP_STREAM_IDLE],
            idle=values[table.HTTP_IDLE],
            detection=values[table.PROTOCOL_DETECTION_TIMEOUT],
        ),
        http_pool_idle=values[table.HTTP_POOL_IDLE],
        trusted_proxies=values[table.NUM_TRUSTED_PROXIES],
        max_connections=values[table.MAX_CONNECTIONS],
        tls=TlsSettings(post_quantum_only=values[table.COMPLIANCE_POLICY] == "pqc", keylog=key_log(values, environ)),
        http2=_http2(values),
        deadlines=Deadlines(
            connect=values[table.CONNECT_DEADLINE],
            tls=values[table.TLS_DEADLINE],
            reply=values[table.REPLY_DEADLINE],
        ),
        socket_options=SocketOptions(
            keepalive=values[table.KEEPALIVE_ENABLED],
            keepalive_idle=values[table.KEEPALIVE_TIME],
            mark=values[table.PACKET_MARK] or None,
        ),
        pool_idle=values[table.POOL_IDLE],
        unread_budget=values[table.UNREAD_BUDGET] or memory_limit() // 4,
        drain_deadline=float(values[table.TERMINATION_DRAIN_DURATION]),
        log_filter=values[table.RUST_LOG],
        log_json=values[table.LOG_FORMAT] == "json",
        tracing=tracing(values),
    )


def _workload(values: Values) -> WorkloadInfo:
    named = values[table.PROXY_WORKLOAD_INFO]
    if named is not None:
        return named
    name, namespace = values[POD_NAME], values[POD_NAMESPACE]
    if not name or not namespace:
        raise SettingsError(
            "which workload am I? set PROXY_WORKLOAD_INFO (namespace/name/service-account), "
            "or POD_NAME and POD_NAMESPACE"
        )
    return WorkloadInfo(namespace, name, values[SERVICE_ACCOUNT] or "default")


def _mesh(values: Values) -> dict[str, Any]:
    path, text = values[table.LOCAL_XDS_PATH], values[table.LOCAL_XDS]
    if path is None and text is None and not values[XDS.address].strip():
        raise SettingsError(
            "no mesh: set LOCAL_XDS_PATH (a YAML file), LOCAL_XDS (its text) or XDS_ADDRESS (a control plane)"
        )
    if path is not None and text is not None:
        both = f"{values.origin(table.LOCAL_XDS_PATH)} and {values.origin(table.LOCAL_XDS)}"
        raise SettingsError(f"{both}: only one of them can be the mesh: leave out the other")
    return {"local_xds_path": path, "local_xds": text, "watch_file": values[table.LOCAL_XDS_WATCH]}


def _discovery(
    layers: Sequence[Mapping[str, Given]], workload: WorkloadInfo, environ: Mapping[str, str]
) -> DiscoverySettings | None:
    """The control plane is told the pod's name, however we were told of it."""
    who = {
        POD_NAME.name: Given(workload.name, POD_NAME.name),
        POD_NAMESPACE.name: Given(workload.namespace, POD_NAMESPACE.name),
        SERVICE_ACCOUNT.name: Given(workload.service_account, SERVICE_ACCOUNT.name),
    }
    values = Values([who, *layers])
    return discovery(values, environ, "waypoint", node_name=None, cluster_id=values[table.CLUSTER_ID])


def _authority(values: Values, environ: Mapping[str, str]) -> CaSettings | None:
    """A waypoint asks in its own name (hbone-controlplane 3.1)."""
    found = endpoint(CA, values, environ, values[table.CLUSTER_ID])
    if found is None:
        return None
    from mesh_py.identity.ca_client import CaSettings

    lifetime = datetime.timedelta(seconds=int(max(1, values[table.SECRET_TTL])))
    return CaSettings(found, lifetime, impersonates=False)


def _certificates(values: Values, environ: Mapping[str, str]) -> CertificateSettings:
    return CertificateSettings(
        ca=_authority(values, environ),
        cert_chain=values[table.WORKLOAD_CERT_CHAIN],
        key=values[table.WORKLOAD_KEY],
        root_cert=values[table.WORKLOAD_ROOT_CERT],
        cert_dir=values[table.WORKLOAD_CERT_DIR],
        fake_ca=values[table.FAKE_CA],
        is_dedicated=True,
        lifetime=datetime.timedelta(seconds=values[table.SECRET_TTL]),
    )


def _addresses(values: Values) -> tuple[str | None, str]:
    bind = values[table.PROXY_BIND_ADDRESS]
    local = values[table.PROXY_LOCAL_ADDRESS]
    if local is None:
        return bind, bind if bind is not None and is_loopback(bind) else "127.0.0.1"
    if not is_loopback(local):
        where = values.origin(table.PROXY_LOCAL_ADDRESS)
        raise SettingsError(f"{where}: {local!r} is no loopback address: admin stays on this machine")
    return bind, local


def _ports(values: Values) -> Ports:
    return Ports(
        inbound=values[table.INBOUND_PORT],
        admin=values[table.ADMIN_PORT],
        stats=values[table.STATS_PORT],
        readiness=values[table.READINESS_PORT],
    )


def _http2(values: Values) -> Http2Config:
    try:
        return Http2Config(stream_window=values[table.STREAM_WINDOW], connection_window=values[table.CONNECTION_WINDOW])
    except ValueError as error:
        windows = [table.STREAM_WINDOW, table.CONNECTION_WINDOW]
        where = ", ".join(values.origin(setting) for setting in windows if values.is_given(setting))
        raise SettingsError(f"{where}: {error}") from None
