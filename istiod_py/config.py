"""The settings of one control plane: read once at the start, never changed. Names: `settings_table.py`."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py import TlsSettings
from istiod_py import settings_table as table
from istiod_py.ambient.options import AmbientOptions
from mesh_py.identity.local_ca import user_folder
from mesh_py.manifests.addresses import AddressRanges
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.settings.binding import local_address
from mesh_py.settings.source import SettingsError, Values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesh_py.settings.source import Given
    from mesh_py.telemetry.log_filter import LogFilter

NAMES = ("istiod.istio-system.svc", "istiod.istio-system.svc.cluster.local", "istiod", "localhost", "127.0.0.1", "::1")
"""What the certificate of 15012 names in any case."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the process was told. Times are seconds, unless they are timedeltas."""

    folder: Path
    """The manifests."""
    options: AmbientOptions
    ranges: AddressRanges
    """Where addresses come from that manifests do not name."""
    debounce: tuple[float, float]
    """Quiet for so long, or at last after so long."""

    node_accounts: frozenset[str]
    audiences: tuple[str, ...]
    checks_identity: bool
    state_folder: Path
    ca_folder: Path
    intermediate: bool
    lifetime: datetime.timedelta
    longest: datetime.timedelta
    names: tuple[str, ...]
    """DNS names and addresses in the certificate of 15012."""

    bind: str | None
    """Address of 15012; None: all addresses."""
    local_bind: str
    """Loopback address of 15010 and 15014."""
    secure_port: int
    plaintext_port: int
    monitoring_port: int
    has_plaintext: bool
    tls: TlsSettings

    connections: int
    age: float
    send_deadline: float
    drain_deadline: float
    log_filter: LogFilter
    log_json: bool

    @property
    def mesh(self) -> MeshConfig:
        """The mesh's names."""
        return self.options.mesh

    def addresses(self) -> list[tuple[str, str, int]]:
        """(name, host, port) of every listener."""
        plaintext = [("plaintext", self.local_bind, self.plaintext_port)] if self.has_plaintext else []
        return [
            ("secure", self.bind or "::", self.secure_port),
            *plaintext,
            ("monitoring", self.local_bind, self.monitoring_port),
        ]


def from_values(layers: Sequence[Mapping[str, Given]], environ: Mapping[str, str]) -> Settings:
    """Settings from their sources, the strongest first. Raises SettingsError."""
    values = Values(layers)
    bind, local = table.PROXY_BIND_ADDRESS, table.PROXY_LOCAL_ADDRESS
    state = state_folder(values, environ)
    return Settings(
        folder=_folder(values),
        options=ambient_options(values),
        ranges=address_ranges(values),
        debounce=(values[table.DEBOUNCE_AFTER], values[table.DEBOUNCE_MAX]),
        node_accounts=frozenset(values[table.CA_TRUSTED_NODE_ACCOUNTS]),
        audiences=_audiences(values),
        checks_identity=values[table.IDENTITY_CHECK],
        state_folder=state,
        ca_folder=ca_folder(values, state),
        intermediate=values[table.CA_INTERMEDIATE],
        lifetime=datetime.timedelta(seconds=values[table.DEFAULT_TTL]),
        longest=datetime.timedelta(seconds=values[table.MAX_TTL]),
        names=tuple(dict.fromkeys(filter(None, (*NAMES, values[bind], *values[table.DNS_NAMES])))),
        bind=values[bind],
        local_bind=local_address(values, bind, local, "plaintext and debug stay"),
        secure_port=values[table.SECURE_GRPC_PORT],
        plaintext_port=values[table.GRPC_PORT],
        monitoring_port=values[table.MONITORING_PORT],
        has_plaintext=values[table.PLAINTEXT_XDS],
        tls=TlsSettings(tls12=values[table.TLS12_ENABLED], post_quantum_only=values[table.COMPLIANCE_POLICY] == "pqc"),
        connections=values[table.MOST_CONNECTIONS],
        age=values[table.CONNECTION_AGE],
        send_deadline=values[table.SEND_DEADLINE],
        drain_deadline=values[table.DRAIN_DEADLINE],
        log_filter=values[table.LOG],
        log_json=values[table.LOG_FORMAT] == "json",
    )


def state_folder(values: Values, environ: Mapping[str, str]) -> Path:
    """Where the token key lies; also for commands that need nothing else."""
    return values[table.STATE_DIR] or user_folder(environ).parent / "istiod"


def ca_folder(values: Values, state: Path) -> Path:
    """Where the authority lies."""
    return values[table.CA_DIR] or state / "ca"


def _folder(values: Values) -> Path:
    folder = values[table.CONFIG_DIR]
    if folder is None:
        raise SettingsError("no mesh: say which folder of manifests to serve, with --config DIR")
    if not folder.is_dir():
        raise SettingsError(f"{values.origin(table.CONFIG_DIR)}: {folder} is no folder: make it, or name another")
    return folder


def ambient_options(values: Values) -> AmbientOptions:
    """The mesh's names and switches; also for commands that need nothing else."""
    mesh = MeshConfig(
        trust_domain=values[table.TRUST_DOMAIN],
        root_namespace=values[table.ROOT_NAMESPACE],
        cluster_domain=values[table.CLUSTER_DOMAIN],
        cluster_id=values[table.CLUSTER_ID],
        network=values[table.NETWORK],
    )
    return AmbientOptions(mesh, send_dry_run=values[table.DRY_RUN], allow_waypoints=values[table.ALLOW_WAYPOINTS])


def address_ranges(values: Values) -> AddressRanges:
    """Where addresses come from; also for commands that need nothing else."""
    return AddressRanges(values[table.POD_CIDR], values[table.SERVICE_CIDR], values[table.SERVICE_ENTRY_CIDR])


def _audiences(values: Values) -> tuple[str, ...]:
    if not (audiences := values[table.TOKEN_AUDIENCES]):
        raise SettingsError(f"{values.origin(table.TOKEN_AUDIENCES)}: name at least one audience")
    return audiences
