"""Every setting of the sidecar, once: its environment name, its flag, how it is read, its default, its meaning [pure].

Names are those of Istio's own proxy and agent, or of the real ztunnel, wherever the meaning is the same.
What sidecars and waypoints share is in `mesh_py/settings/layer7_table.py`.
"""

from __future__ import annotations

from mesh_py.settings import layer7_table as shared
from mesh_py.settings.control_plane import AUTH_TOKEN, XDS
from mesh_py.settings.discovery import NODE_SETTINGS
from mesh_py.settings.kinds import ADDRESS, BOOLEAN, NAME, PATH, PORT, TEXT, WORKLOAD_INFO, Kind, choice, whole
from mesh_py.settings.setting import SettingsTable, setting, unset
from mesh_py.settings.tracing import TRACING


def _ports(text: str) -> tuple[int, ...]:
    read = whole(1, 65_535)
    return tuple(read(part) for part in filter(None, text.split(",")))


PORTS = Kind(_ports, "PORT,...", lambda ports: ",".join(map(str, ports)))
FORM = Kind(choice("post", "service", "today"), "post|service|today")
TRAFFIC = Kind(choice("ALLOW_ANY", "REGISTRY_ONLY"), "ALLOW_ANY|REGISTRY_ONLY")
MTLS = Kind(choice("STRICT", "PERMISSIVE", "DISABLE"), "STRICT|PERMISSIVE|DISABLE")

# A table is read by its lines: one setting, one or two of them.
# fmt: off

# Whom it serves
PROXY_WORKLOAD_INFO = unset(
    "PROXY_WORKLOAD_INFO", WORKLOAD_INFO, "The workload it stands beside.", flag="--workload",
    note="from POD_NAMESPACE, POD_NAME, SERVICE_ACCOUNT",
)
ROOT_NAMESPACE = setting("ROOT_NAMESPACE", NAME, "istio-system", "Whose policies are for the whole mesh.")

# What it knows of the mesh
LOCAL_XDS_PATH = unset("LOCAL_XDS_PATH", PATH, "The mesh from a YAML file (docs/sidecar-configuration.md).")

# Where it listens
PROXY_BIND_ADDRESS = unset(
    "PROXY_BIND_ADDRESS", ADDRESS, "Address of every listener but admin and SOCKS5.", flag="--bind",
    note="all addresses, IPv4 and IPv6",
)
PROXY_LOCAL_ADDRESS = unset(
    "PROXY_LOCAL_ADDRESS", ADDRESS, "Loopback address of admin and SOCKS5.", flag="--local-bind",
    note="--bind if that is loopback, else 127.0.0.1",
)
OUTBOUND_PORT = setting("OUTBOUND_PORT", PORT, 15_001, "Captured connections of the application; 0: any free port.")
PLAINTEXT_PORT = setting("PLAINTEXT_PORT", PORT, 15_006, "Captured connections to the application.")
INBOUND_PORT = setting("INBOUND_PORT", PORT, 15_008, "HBONE to the application.")
SOCKS5_PORT = setting("SOCKS5_PORT", PORT, 15_080, "SOCKS5, where switched on.")
STATS_PORT = setting("STATS_PORT", PORT, 15_020, "Metrics, ours and the application's.", also=("STATUS_PORT",))
UNSTABLE_ENABLE_SOCKS5 = setting(
    "UNSTABLE_ENABLE_SOCKS5", BOOLEAN, False, "Capture by SOCKS5: host names come from the mesh.", flag="--socks5"
)
PROXY_PROTOCOL_CAPTURE = setting(
    "PROXY_PROTOCOL_CAPTURE", BOOLEAN, False, "15001 and 15006 expect PROXY protocol v2; loopback addresses only."
)
CAPTURED_PORTS = setting(
    "CAPTURED_PORTS", PORTS, (), "Ports of the application where 15006 listens as well, where nothing redirects.",
    theirs="none",
)
APP_ADDRESS = unset(
    "APP_ADDRESS", ADDRESS, "Where the application listens.",
    note="the pod's own address; 127.0.0.1 with CAPTURED_PORTS",
)

# Outbound
OUTBOUND_TRAFFIC_POLICY = setting(
    "OUTBOUND_TRAFFIC_POLICY", TRAFFIC, "ALLOW_ANY", "What becomes of connections to nobody the mesh knows."
)
WAYPOINT_FORM = setting(
    "WAYPOINT_FORM", FORM, "post", "To a destination with a waypoint: through it, asking for the chosen pod (post) or "
    "for the service (service), or straight to the pod (today).", theirs="today",
)
PREFER_SENDING_HBONE = setting(
    "PREFER_SENDING_HBONE", BOOLEAN, False, "HBONE rather than Istio's mutual TLS to who takes both.",
    also=("PILOT_PREFER_SENDING_HBONE",),
)

# Inbound
INBOUND_MTLS = setting(
    "INBOUND_MTLS", MTLS, "PERMISSIVE", "What is asked of peers where no PeerAuthentication says it.", flag="--mtls"
)

# What it tells
ISTIO_PROMETHEUS_ANNOTATIONS = setting(
    "ISTIO_PROMETHEUS_ANNOTATIONS", TEXT, "", "Where the application's metrics are, to be merged at 15020: JSON with "
    "scrape, port, path.",
)

TABLE = SettingsTable({
    "Whom it serves": (PROXY_WORKLOAD_INFO, *NODE_SETTINGS, *shared.PLACE, ROOT_NAMESPACE),
    "What it knows of the mesh": (LOCAL_XDS_PATH, shared.LOCAL_XDS, shared.LOCAL_XDS_WATCH),
    "The control plane it follows": (*XDS.all, AUTH_TOKEN),
    shared.CERTIFICATES_TITLE: shared.CERTIFICATES,
    "Where it listens": (
        PROXY_BIND_ADDRESS, PROXY_LOCAL_ADDRESS, OUTBOUND_PORT, PLAINTEXT_PORT, INBOUND_PORT, SOCKS5_PORT,
        shared.ADMIN_PORT, STATS_PORT, shared.READINESS_PORT, UNSTABLE_ENABLE_SOCKS5, PROXY_PROTOCOL_CAPTURE,
        CAPTURED_PORTS, APP_ADDRESS, shared.IPV6_ENABLED,
    ),
    "Outbound": (OUTBOUND_TRAFFIC_POLICY, WAYPOINT_FORM, PREFER_SENDING_HBONE),
    "Inbound": (INBOUND_MTLS,),
    "HTTP": (*shared.PATIENCE, *shared.CLIENTS),
    "The tunnel": shared.TUNNEL,
    "Sockets": shared.SOCKETS,
    "Deadlines": shared.DEADLINES,
    "What it tells": (shared.RUST_LOG, shared.LOG_FORMAT, ISTIO_PROMETHEUS_ANNOTATIONS),
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
