"""What a sidecar and a waypoint are told alike: the values, and how they are read from `layer7_table`."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from hbone_py import Deadlines, Http2Config, TlsSettings
from hbone_py.aio.tcp import SocketOptions
from mesh_py.exchange.timeouts import ClientTimeouts
from mesh_py.http.paths import Normalization
from mesh_py.identity.local_ca import user_folder
from mesh_py.identity.sources import CertificateSettings
from mesh_py.process.memory_limit import memory_limit
from mesh_py.settings import layer7_table as table
from mesh_py.settings.binding import listening_address, local_address
from mesh_py.settings.control_plane import CA, XDS, endpoint
from mesh_py.settings.discovery import POD_NAME, POD_NAMESPACE, SERVICE_ACCOUNT, DiscoverySettings, discovery
from mesh_py.settings.first_bytes import FIRST_BYTES
from mesh_py.settings.key_log import key_log
from mesh_py.settings.key_sets import KeySetSettings, key_sets
from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.settings.source import Given, SettingsError, Values
from mesh_py.settings.tracing import tracing
from mesh_py.settings.wait_awake import WAIT_AWAKE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesh_py.identity.ca_client import CaSettings
    from mesh_py.settings.setting import Setting
    from mesh_py.settings.tracing import TracingSettings
    from mesh_py.telemetry.log_filter import LogFilter


@dataclass(frozen=True, slots=True)
class Layer7Settings:
    """What every proxy of layer 7 was told. Times are seconds, sizes bytes."""

    workload: WorkloadInfo
    """The workload it stands beside, or is."""
    network: str
    cluster_domain: str
    trust_domain: str
    """Of workloads that name none."""
    root_namespace: str
    """Whose policies are for the whole mesh."""

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
    credentials_folder: Path | None
    """Where Secrets that DestinationRules name are mounted; None: nowhere."""

    bind: str | None
    """Address of the listeners; None: all addresses."""
    local_bind: str
    """Loopback address of 15000, and of SOCKS5."""
    ipv6: bool

    path_normalization: Normalization
    timeouts: ClientTimeouts
    http_pool_idle: float
    max_connections: int

    tls: TlsSettings
    http2: Http2Config
    deadlines: Deadlines
    socket_options: SocketOptions
    pool_idle: float
    unread_budget: int
    first_bytes: bool
    """What a client of bytes says at once goes with its CONNECT."""
    wait_awake: bool
    """The reactor may spend short waits awake."""
    drain_deadline: float

    log_filter: LogFilter
    log_json: bool
    tracing: TracingSettings | None
    """Where spans go; None: nowhere."""

    @property
    def bind_address(self) -> str:
        """Address of the listeners: `bind`, or all."""
        return listening_address(self.bind, ipv6=self.ipv6)


class Role(NamedTuple):
    """What the two say in words of their own."""

    kind: str
    """`sidecar` or `waypoint`, as the control plane is told."""
    who: str
    """The question that is left open where no workload is named."""
    local: str
    """What stays on this machine, and that it does."""
    workload: Setting[WorkloadInfo | None]
    root_namespace: Setting[str]
    mesh_file: Setting[Path | None]
    bind: Setting[str | None]
    local_bind: Setting[str | None]


def layer7_values(
    role: Role, layers: Sequence[Mapping[str, Given]], values: Values, environ: Mapping[str, str]
) -> dict[str, Any]:
    """The fields of `Layer7Settings`.

    Args:
        layers: what `values` was made of.
        environ: for what is not ours to name: `HOME`, `SSLKEYLOGFILE`.

    Raises:
        SettingsError: a value cannot be used, or two do not go together; one line.
    """
    workload = _workload(role, values)
    return {
        "workload": workload,
        "network": values[table.NETWORK],
        "cluster_domain": values[table.CLUSTER_DOMAIN],
        "trust_domain": values[table.TRUST_DOMAIN],
        "root_namespace": values[role.root_namespace],
        **_mesh(role, values),
        "discovery": _discovery(role, layers, workload, environ),
        "key_sets": key_sets(values),
        "certificates": _certificates(values, environ),
        "fake_ca_folder": values[table.FAKE_CA_DIR] or user_folder(environ),
        "credentials_folder": values[table.CREDENTIALS_DIR],
        "bind": values[role.bind],
        "local_bind": local_address(values, role.bind, role.local_bind, role.local),
        "ipv6": values[table.IPV6_ENABLED],
        **_http(values),
        **_tunnel(values, environ),
        "drain_deadline": float(values[table.TERMINATION_DRAIN_DURATION]),
        "log_filter": values[table.RUST_LOG],
        "log_json": values[table.LOG_FORMAT] == "json",
        "tracing": tracing(values),
    }


def _workload(role: Role, values: Values) -> WorkloadInfo:
    named = values[role.workload]
    if named is not None:
        return named
    name, namespace = values[POD_NAME], values[POD_NAMESPACE]
    if not name or not namespace:
        raise SettingsError(
            f"{role.who}? set PROXY_WORKLOAD_INFO (namespace/name/service-account), or POD_NAME and POD_NAMESPACE"
        )
    return WorkloadInfo(namespace, name, values[SERVICE_ACCOUNT] or "default")


def _mesh(role: Role, values: Values) -> dict[str, Any]:
    path, text = values[role.mesh_file], values[table.LOCAL_XDS]
    if path is None and text is None and not values[XDS.address].strip():
        raise SettingsError(
            "no mesh: set LOCAL_XDS_PATH (a YAML file), LOCAL_XDS (its text) or XDS_ADDRESS (a control plane)"
        )
    if path is not None and text is not None:
        both = f"{values.origin(role.mesh_file)} and {values.origin(table.LOCAL_XDS)}"
        raise SettingsError(f"{both}: only one of them can be the mesh: leave out the other")
    return {"local_xds_path": path, "local_xds": text, "watch_file": values[table.LOCAL_XDS_WATCH]}


def _discovery(
    role: Role, layers: Sequence[Mapping[str, Given]], workload: WorkloadInfo, environ: Mapping[str, str]
) -> DiscoverySettings | None:
    """The control plane is told the pod's name, however we were told of it."""
    who = {
        POD_NAME.name: Given(workload.name, POD_NAME.name),
        POD_NAMESPACE.name: Given(workload.namespace, POD_NAMESPACE.name),
        SERVICE_ACCOUNT.name: Given(workload.service_account, SERVICE_ACCOUNT.name),
    }
    values = Values([who, *layers])
    return discovery(values, environ, role.kind, node_name=None, cluster_id=values[table.CLUSTER_ID])


def _authority(values: Values, environ: Mapping[str, str]) -> CaSettings | None:
    """It asks in its own name (hbone-controlplane 3.1)."""
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


def _http(values: Values) -> dict[str, Any]:
    return {
        "path_normalization": Normalization(values[table.PATH_NORMALIZATION]),
        "timeouts": ClientTimeouts(
            head=values[table.HTTP_HEAD_TIMEOUT],
            silence=values[table.HTTP_STREAM_IDLE],
            idle=values[table.HTTP_IDLE],
            detection=values[table.PROTOCOL_DETECTION_TIMEOUT],
        ),
        "http_pool_idle": values[table.HTTP_POOL_IDLE],
        "max_connections": values[table.MAX_CONNECTIONS],
    }


def _tunnel(values: Values, environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        "tls": TlsSettings(post_quantum_only=values[table.COMPLIANCE_POLICY] == "pqc", keylog=key_log(values, environ)),
        "http2": _http2(values),
        "deadlines": Deadlines(
            connect=values[table.CONNECT_DEADLINE],
            tls=values[table.TLS_DEADLINE],
            reply=values[table.REPLY_DEADLINE],
        ),
        "socket_options": SocketOptions(
            keepalive=values[table.KEEPALIVE_ENABLED],
            keepalive_idle=values[table.KEEPALIVE_TIME],
            mark=values[table.PACKET_MARK] or None,
        ),
        "pool_idle": values[table.POOL_IDLE],
        "first_bytes": values[FIRST_BYTES],
        "wait_awake": values[WAIT_AWAKE],
        "unread_budget": values[table.UNREAD_BUDGET] or memory_limit() // 4,
    }


def _http2(values: Values) -> Http2Config:
    try:
        return Http2Config(stream_window=values[table.STREAM_WINDOW], connection_window=values[table.CONNECTION_WINDOW])
    except ValueError as error:
        windows = [table.STREAM_WINDOW, table.CONNECTION_WINDOW]
        where = ", ".join(values.origin(setting) for setting in windows if values.is_given(setting))
        raise SettingsError(f"{where}: {error}") from None
