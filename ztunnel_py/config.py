"""The settings of one proxy process: read once at the start, never changed.

Below `app.py` nobody sees this bag, only the values it needs. Sources and names: `settings_table.py`.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hbone_py import Deadlines, Http2Config, Keepalive, TlsSettings
from hbone_py.aio.tcp import SocketOptions
from mesh_py.identity.local_ca import user_folder
from mesh_py.identity.sources import CertificateSettings
from mesh_py.process.memory_limit import memory_limit
from mesh_py.process.mesh_source import MeshPlace
from mesh_py.settings import control_plane
from mesh_py.settings.binding import capture_by_preamble, listening_address, local_address
from mesh_py.settings.control_plane import XDS, endpoint
from mesh_py.settings.discovery import (
    POD_NAME,
    POD_NAMESPACE,
    SERVICE_ACCOUNT,
    XDS_ON_DEMAND,
    DiscoverySettings,
    discovery,
)
from mesh_py.settings.first_bytes import FIRST_BYTES
from mesh_py.settings.key_log import key_log
from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.settings.source import SettingsError, from_environment, from_flags
from mesh_py.settings.tracing import tracing
from mesh_py.settings.wait_awake import WAIT_AWAKE
from ztunnel_py import settings_table as table
from ztunnel_py.dns_settings import DnsSettings, read_dns_settings
from ztunnel_py.mode import Mode
from ztunnel_py.stub_settings import with_stub_defaults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.identity.ca_client import CaSettings
    from mesh_py.settings.source import Given, Values
    from mesh_py.settings.tracing import TracingSettings
    from mesh_py.telemetry.log_filter import LogFilter

INPOD_MARK = 1337
"""What the rules inside pods know their proxy by (hbone-dataplane 10.3)."""

__all__ = ["Mode", "Ports", "Settings", "SettingsError", "WorkloadInfo", "from_env", "from_values"]


@dataclass(frozen=True, slots=True)
class Ports:
    """Listening ports; 0 takes any free one."""

    outbound: int = 15_001
    plaintext: int = 15_006
    inbound: int = 15_008
    socks5: int = 15_080
    admin: int = 15_000
    stats: int = 15_020
    readiness: int = 15_021


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one process was told. Times are seconds, sizes bytes."""

    mode: Mode
    node: str | None
    """Our node; None counts every workload as local."""
    workload: WorkloadInfo | None
    """The one workload, in dedicated mode; in shared mode ourselves, where we are told who that is."""
    inpod_uds: Path
    """Shared mode: where the node's agent listens."""
    inpod_port_reuse: bool
    """Shared mode: another process may listen on pods' ports beside us."""
    network: str
    cluster_id: str
    cluster_domain: str
    trust_domain: str
    """Of workloads that name none (ztunnel leaves those without)."""

    local_xds_path: Path | None
    """Where the mesh is described: a file; ..."""
    local_xds: str | None
    """... or this text. At most one is set."""
    watch_file: bool
    """Follow edits of the file (ztunnel never does)."""
    discovery: DiscoverySettings | None
    """The control plane to follow; None: there is none."""
    stub_backends: bool
    """Move the mesh onto loopback, and stand in for its applications."""
    certificates: CertificateSettings
    """What was said of certificates; `mesh_py.identity.sources` chooses."""
    fake_ca_folder: Path
    """Where `FAKE_CA` keeps this user's authority."""

    bind: str | None
    """Address of 15001, 15006, 15008, 15020 and 15021; None: all addresses (`bind_address`)."""
    local_bind: str
    """Loopback address of 15000 and 15080."""
    both_loopbacks: bool
    """15000 is on ::1 as well, where there is one: nobody moved it (hbone-controlplane 7.1)."""
    ports: Ports
    carries: bool
    """Connections are carried; else it is there for names alone."""
    socks5_enabled: bool
    socks_as: str | None
    """`namespace/name` of the workload that a SOCKS client from 127.0.0.1 counts as."""
    proxy_protocol_capture: bool
    """15001 and 15006 expect a PROXY protocol v2 header, whose destination is the original one."""
    ipv6: bool
    dns: DnsSettings | None
    """The DNS proxy; None: there is none."""

    tls: TlsSettings
    http2: Http2Config
    deadlines: Deadlines
    keepalive: Keepalive
    """PINGs on HBONE connections."""
    socket_options: SocketOptions
    pool_max_streams: int
    pool_idle: float
    unread_budget: int
    """Unread bytes this process may hold, all connections together."""
    first_bytes: bool
    """What an application says at once goes with its CONNECT."""
    wait_awake: bool
    """The reactor may spend short waits awake."""
    same_node_inside: bool
    """HBONE between two of our workloads needs no connection."""
    lenient_resets: bool
    response_baggage: bool
    crl_path: Path | None
    """Revocation lists that peers are judged by."""
    localhost_app_tunnel: bool
    """Applications that take PROXY protocol are reached at the loopback address."""
    preserve_source: bool | None
    """Reach applications from the client's address; None: where the rights are."""

    passes_unanswered: bool
    """On demand: pass on what goes to addresses that the control plane told nothing about, instead of refusing it."""
    state_wait: float
    """How long a connection waits for a workload that is not known yet."""
    policy_wait: float
    """How long for a policy that is named but not known, before it is refused."""
    certificate_wait: float
    drain_deadline: float
    """How long open connections may take when the process ends (hbone-dataplane 6.2)."""

    workers: int
    log_filter: LogFilter
    log_json: bool
    authz_info_logging: bool
    tracing: TracingSettings | None
    """Where spans go; None: nowhere."""

    @property
    def bind_address(self) -> str:
        """Address of the listeners: `bind`, or all."""
        return listening_address(self.bind, ipv6=self.ipv6)

    @property
    def mesh(self) -> MeshPlace:
        """Where the mesh is described."""
        return MeshPlace(self.local_xds_path, self.local_xds, self.trust_domain, self.watch_file)


def from_env(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags (by setting name) and environment.

    Raises:
        SettingsError: a value cannot be used, or two do not go together; one line.
    """
    return from_values([from_flags(table.TABLE, flags or {}), from_environment(table.TABLE, environ)], environ)


def from_values(layers: Sequence[Mapping[str, Given]], environ: Mapping[str, str]) -> Settings:
    """Settings from values of several sources, the strongest first.

    Args:
        layers: values with their origins.
        environ: for what is not ours to name: `HOME`, `SSLKEYLOGFILE`.

    Raises:
        SettingsError: as `from_env`.
    """
    values = with_stub_defaults(layers)
    for setting in table.TABLE.all:
        values[setting]  # every value must be readable, used or not
    mode = _mode(values)
    workers = values[table.WORKERS].on(len(os.sched_getaffinity(0)))
    if mode is Mode.SHARED:
        _refuse_beside_pods(values, workers)
    bind, local = table.PROXY_BIND_ADDRESS, table.PROXY_LOCAL_ADDRESS
    local_bind = local_address(values, bind, local, "admin and SOCKS5 stay")
    dns = read_dns_settings(values, mode, local_bind)
    return Settings(
        mode=mode,
        node=values[table.NODE_NAME],
        workload=_workload(values, mode),
        inpod_uds=values[table.INPOD_UDS] or Path("/var/run/ztunnel/ztunnel.sock"),
        inpod_port_reuse=values[table.INPOD_PORT_REUSE],
        network=values[table.NETWORK],
        cluster_id=values[table.CLUSTER_ID],
        cluster_domain=values[table.CLUSTER_DOMAIN],
        trust_domain=values[table.TRUST_DOMAIN],
        **_mesh_source(values),
        discovery=_discovery(values, environ, dns),
        passes_unanswered=values[table.XDS_ON_DEMAND_UNANSWERED] == "pass",
        stub_backends=values[table.STUB_BACKENDS],
        certificates=_certificates(values, mode, environ),
        fake_ca_folder=values[table.FAKE_CA_DIR] or user_folder(environ),
        bind=values[bind],
        local_bind=local_bind,
        both_loopbacks=values[table.IPV6_ENABLED] and not values.is_given(bind, local),
        ports=_ports(values),
        carries=_carries(values, dns),
        socks5_enabled=values[table.UNSTABLE_ENABLE_SOCKS5],
        socks_as=values[table.SOCKS5_SOURCE_WORKLOAD],
        proxy_protocol_capture=capture_by_preamble(values, table.PROXY_PROTOCOL_CAPTURE, bind),
        ipv6=values[table.IPV6_ENABLED],
        dns=dns,
        tls=_tls(values, environ),
        http2=_http2(values),
        deadlines=_deadlines(values),
        keepalive=Keepalive(values[table.PING_INTERVAL], values[table.PING_TIMEOUT]),
        socket_options=_socket_options(values, mode),
        pool_max_streams=values[table.POOL_MAX_STREAMS],
        pool_idle=values[table.POOL_IDLE],
        unread_budget=values[table.UNREAD_BUDGET] or memory_limit() // 4,
        first_bytes=values[FIRST_BYTES],
        wait_awake=values[WAIT_AWAKE],
        same_node_inside=values[table.SAME_NODE_INSIDE] and mode is Mode.NODE,
        lenient_resets=values[table.LENIENT_RESETS],
        response_baggage=values[table.ENABLE_RESPONSE_BAGGAGE],
        crl_path=values[table.CRL_PATH],
        localhost_app_tunnel=values[table.LOCALHOST_APP_TUNNEL],
        preserve_source=values[table.ENABLE_ORIG_SRC],
        state_wait=values[table.STATE_WAIT],
        policy_wait=values[table.POLICY_WAIT],
        certificate_wait=values[table.CERTIFICATE_WAIT],
        drain_deadline=_drain_deadline(values),
        workers=workers,
        log_filter=values[table.RUST_LOG],
        log_json=values[table.LOG_FORMAT] == "json",
        authz_info_logging=values[table.AUTHZ_INFO],
        tracing=tracing(values),
    )


def _carries(values: Values, dns: DnsSettings | None) -> bool:
    """Raises SettingsError where nothing would be left."""
    wanted = values[table.ENABLE_PROXY]
    if not wanted and dns is None:
        raise SettingsError(f"{values.origin(table.ENABLE_PROXY)}: nothing is left: set ISTIO_META_DNS_CAPTURE=true")
    return wanted


def _mode(values: Values) -> Mode:
    mode = values[table.PROXY_MODE]
    if mode is None:
        return Mode.NODE if values[table.INPOD_UDS] is None else Mode.SHARED
    return mode


def _refuse_beside_pods(values: Values, workers: int) -> None:
    """What pods in their own networks cannot have (shared mode)."""
    for setting in (table.PROXY_PROTOCOL_CAPTURE, table.STUB_BACKENDS):
        if values[setting]:
            where = values.origin(setting)
            raise SettingsError(f"{where}: stands in for redirection, which pods of shared mode have: leave it out")
    if workers > 1:
        where = values.origin(table.WORKERS)
        raise SettingsError(f"{where}: shared mode is one process, which the node's agent speaks to: leave it at 1")


def _workload(values: Values, mode: Mode) -> WorkloadInfo | None:
    workload = values[table.PROXY_WORKLOAD_INFO]
    if mode is Mode.SHARED and workload is None:
        return _ourselves(values)
    if mode is Mode.DEDICATED and workload is None:
        raise SettingsError("PROXY_WORKLOAD_INFO: dedicated mode needs it: namespace/name/service-account")
    if mode is not Mode.DEDICATED and workload is not None:
        where = values.origin(table.PROXY_WORKLOAD_INFO)
        raise SettingsError(f"{where}: only a dedicated proxy serves one workload: set PROXY_MODE=dedicated with it")
    return workload


def _ourselves(values: Values) -> WorkloadInfo | None:
    """Our own pod, as Kubernetes tells it."""
    namespace, name, account = (values[one] for one in (POD_NAMESPACE, POD_NAME, SERVICE_ACCOUNT))
    return WorkloadInfo(namespace, name, account) if namespace and name and account else None


def _mesh_source(values: Values) -> dict[str, Any]:
    path, text = values[table.LOCAL_XDS_PATH], values[table.LOCAL_XDS]
    if path is None and text is None and not values[XDS.address].strip():
        raise SettingsError(
            "no mesh: set LOCAL_XDS_PATH (a YAML file), LOCAL_XDS (its text) or XDS_ADDRESS (a control plane)"
        )
    if path is not None and text is not None:
        both = f"{values.origin(table.LOCAL_XDS_PATH)} and {values.origin(table.LOCAL_XDS)}"
        raise SettingsError(f"{both}: only one of them can be the mesh: leave out the other")
    return {"local_xds_path": path, "local_xds": text, "watch_file": values[table.LOCAL_XDS_WATCH]}


def _discovery(values: Values, environ: Mapping[str, str], dns: DnsSettings | None) -> DiscoverySettings | None:
    found = discovery(
        values, environ, "ztunnel", node_name=values[table.NODE_NAME], cluster_id=values[table.CLUSTER_ID]
    )
    if found is not None and values[table.STUB_BACKENDS]:
        where = values.origin(XDS.address)
        raise SettingsError(f"{where}: stub backends stand in for a described mesh, not for a live one: leave it empty")
    if found is not None and found.on_demand and dns is not None:
        where = values.origin(XDS_ON_DEMAND)
        raise SettingsError(
            f"{where}: DNS needs to know all names, so it cannot go with on demand: set ISTIO_META_DNS_CAPTURE=false"
        )
    return found


def _certificates(values: Values, mode: Mode, environ: Mapping[str, str]) -> CertificateSettings:
    return CertificateSettings(
        ca=_authority(values, mode, environ),
        cert_chain=values[table.WORKLOAD_CERT_CHAIN],
        key=values[table.WORKLOAD_KEY],
        root_cert=values[table.WORKLOAD_ROOT_CERT],
        cert_dir=values[table.WORKLOAD_CERT_DIR],
        fake_ca=values[table.FAKE_CA],
        is_dedicated=mode is Mode.DEDICATED,
        lifetime=datetime.timedelta(seconds=values[table.SECRET_TTL]),
    )


def _authority(values: Values, mode: Mode, environ: Mapping[str, str]) -> CaSettings | None:
    """A node's proxy asks in its workloads' names, a dedicated one in its own (hbone-controlplane 3.1)."""
    found = endpoint(control_plane.CA, values, environ, values[table.CLUSTER_ID])
    if found is None:
        return None
    from mesh_py.identity.ca_client import CaSettings

    lifetime = datetime.timedelta(seconds=int(max(1, values[table.SECRET_TTL])))
    return CaSettings(found, lifetime, impersonates=mode is not Mode.DEDICATED)


def _ports(values: Values) -> Ports:
    return Ports(
        outbound=values[table.OUTBOUND_PORT],
        plaintext=values[table.PLAINTEXT_PORT],
        inbound=values[table.INBOUND_PORT],
        socks5=values[table.SOCKS5_PORT],
        admin=values[table.ADMIN_PORT],
        stats=values[table.STATS_PORT],
        readiness=values[table.READINESS_PORT],
    )


def _tls(values: Values, environ: Mapping[str, str]) -> TlsSettings:
    return TlsSettings(
        tls12=values[table.TLS12_ENABLED],
        post_quantum_only=values[table.COMPLIANCE_POLICY] == "pqc",
        keylog=key_log(values, environ),
    )


def _http2(values: Values) -> Http2Config:
    try:
        return Http2Config(
            stream_window=values[table.STREAM_WINDOW],
            connection_window=values[table.CONNECTION_WINDOW],
            max_frame_size=values[table.FRAME_SIZE],
        )
    except ValueError as error:
        windows = [table.STREAM_WINDOW, table.CONNECTION_WINDOW, table.FRAME_SIZE]
        where = ", ".join(values.origin(setting) for setting in windows if values.is_given(setting))
        raise SettingsError(f"{where}: {error}") from None


def _deadlines(values: Values) -> Deadlines:
    return Deadlines(
        connect=values[table.CONNECT_DEADLINE],
        tls=values[table.TLS_DEADLINE],
        settings=values[table.SETTINGS_DEADLINE],
        reply=values[table.REPLY_DEADLINE],
    )


def _socket_options(values: Values, mode: Mode) -> SocketOptions:
    mark = values[table.PACKET_MARK]
    if mark is None and mode is Mode.SHARED:
        mark = INPOD_MARK
    return SocketOptions(
        keepalive=values[table.KEEPALIVE_ENABLED],
        keepalive_idle=values[table.KEEPALIVE_TIME],
        keepalive_interval=values[table.KEEPALIVE_INTERVAL],
        keepalive_retries=values[table.KEEPALIVE_RETRIES],
        user_timeout=values[table.USER_TIMEOUT_ENABLED],
        mark=mark or None,
    )


def _drain_deadline(values: Values) -> float:
    """hbone-dataplane 6.2: named outright, or a little less than the time until we are killed."""
    deadline, grace = values[table.CONNECTION_TERMINATION_DEADLINE], values[table.TERMINATION_GRACE_PERIOD]
    if deadline is not None:
        return deadline
    if grace is None:
        return 5.0
    return float(max(1, grace - 5 if grace > 10 else grace - 1))
