"""Every setting of the waypoint, once: its environment name, its flag, how it is read, its default, its meaning [pure].

Names are those of Istio's own proxy and agent, or of the real ztunnel, wherever the meaning is the same.
What sidecars and waypoints share is in `mesh_py/settings/layer7_table.py`.
"""

from __future__ import annotations

from mesh_py.settings import layer7_table as shared
from mesh_py.settings.control_plane import AUTH_TOKEN, XDS
from mesh_py.settings.discovery import NODE_SETTINGS
from mesh_py.settings.kinds import ADDRESS, NAME, PATH, PORT, TEXT, WORKLOAD_INFO, Kind, whole
from mesh_py.settings.setting import SettingsTable, setting, unset
from mesh_py.settings.tracing import TRACING

# A table is read by its lines: one setting, one or two of them.
# fmt: off

# Who it is
PROXY_WORKLOAD_INFO = unset(
    "PROXY_WORKLOAD_INFO", WORKLOAD_INFO, "The workload it is.", flag="--workload",
    note="from POD_NAMESPACE, POD_NAME, SERVICE_ACCOUNT",
)
ROOT_NAMESPACE = setting("ROOT_NAMESPACE", NAME, "istio-system", "Whose policies may be for all waypoints.")
GATEWAY_NAME = setting(
    "GATEWAY_NAME", TEXT, "", "The Gateway it serves, in its namespace: what policies name.",
    theirs="from the pod's labels",
)

# What it knows of the mesh
LOCAL_XDS_PATH = unset("LOCAL_XDS_PATH", PATH, "The mesh from a YAML file (docs/waypoint-configuration.md).")

# Where it listens
PROXY_BIND_ADDRESS = unset(
    "PROXY_BIND_ADDRESS", ADDRESS, "Address of every listener but admin.", flag="--bind",
    note="all addresses, IPv4 and IPv6",
)
PROXY_LOCAL_ADDRESS = unset(
    "PROXY_LOCAL_ADDRESS", ADDRESS, "Loopback address of admin.", flag="--local-bind",
    note="--bind if that is loopback, else 127.0.0.1",
)
INBOUND_PORT = setting("INBOUND_PORT", PORT, 15_008, "HBONE: tunnels end here; 0: any free port.")
STATS_PORT = setting("STATS_PORT", PORT, 15_020, "Metrics.", also=("STATUS_PORT",))

# HTTP
NUM_TRUSTED_PROXIES = setting(
    "NUM_TRUSTED_PROXIES", Kind(whole(0, 32), "N"), 0, "So many proxies in front are believed in x-forwarded-for, for "
    "remoteIpBlocks; 0: the tunnel's client is the caller.",
)

# What it tells
TABLE = SettingsTable({
    "Who it is": (PROXY_WORKLOAD_INFO, *NODE_SETTINGS, *shared.PLACE, ROOT_NAMESPACE, GATEWAY_NAME),
    "What it knows of the mesh": (LOCAL_XDS_PATH, shared.LOCAL_XDS, shared.LOCAL_XDS_WATCH),
    "The control plane it follows": (*XDS.all, AUTH_TOKEN),
    shared.CERTIFICATES_TITLE: shared.CERTIFICATES,
    "Where it listens": (
        PROXY_BIND_ADDRESS, PROXY_LOCAL_ADDRESS, INBOUND_PORT, shared.ADMIN_PORT, STATS_PORT, shared.READINESS_PORT,
        shared.IPV6_ENABLED,
    ),
    "HTTP": (*shared.PATIENCE, NUM_TRUSTED_PROXIES, *shared.CLIENTS),
    "The tunnel": shared.TUNNEL,
    "Sockets": shared.SOCKETS,
    "Deadlines": shared.DEADLINES,
    "What it tells": (shared.RUST_LOG, shared.LOG_FORMAT),
    "Traces": TRACING,
})
"""All of them, in the order help pages show them."""

PROXY_CONFIG_KEYS = {
    "discoveryAddress": XDS.address,
    "proxyAdminPort": shared.ADMIN_PORT, "statusPort": STATS_PORT,
    "terminationDrainDuration": shared.TERMINATION_DRAIN_DURATION,
}
"""What we know of a ProxyConfig."""

# fmt: on
