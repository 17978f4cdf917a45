"""The settings that sidecar and waypoint share, each once; their tables say in which order help pages show them [pure].

Names are those of Istio's own proxy and agent, or of the real ztunnel, wherever the meaning is the same.
"""

from __future__ import annotations

from typing import Any

from mesh_py.settings import key_sets
from mesh_py.settings.control_plane import CA, XDS
from mesh_py.settings.discovery import POD_NAME
from mesh_py.settings.embedded import EmbeddedDefault
from mesh_py.settings.first_bytes import FIRST_BYTES
from mesh_py.settings.key_log import KEY_LOG
from mesh_py.settings.kinds import (
    BOOLEAN,
    NAME,
    PATH,
    PORT,
    POSITIVE_TIME,
    SIZE,
    TEXT,
    WHOLE_SECONDS,
    Kind,
    choice,
    whole,
)
from mesh_py.settings.setting import Setting, setting, unset
from mesh_py.settings.tracing import TRACING
from mesh_py.settings.wait_awake import WAIT_AWAKE
from mesh_py.telemetry.log_filter import DEFAULT_FILTER, LogFilter

MIB = 1 << 20

FILTER = Kind(LogFilter.parse, "FILTER")

# A table is read by its lines: one setting, one or two of them.
# fmt: off

# Where it is
NETWORK = setting("NETWORK", TEXT, "", "Our network.", also=("ISTIO_META_NETWORK",))
CLUSTER_ID = setting("CLUSTER_ID", NAME, "Kubernetes", "Our cluster.", also=("ISTIO_META_CLUSTER_ID",))
CLUSTER_DOMAIN = setting("CLUSTER_DOMAIN", NAME, "cluster.local", "Suffix of service host names.",
                         also=("ISTIO_META_DNS_DOMAIN",))
TRUST_DOMAIN = setting("TRUST_DOMAIN", NAME, "cluster.local", "For workloads that name none.")

# What it knows of the mesh
LOCAL_XDS = unset("LOCAL_XDS", TEXT, "The mesh as YAML text.")
LOCAL_XDS_WATCH = setting("LOCAL_XDS_WATCH", BOOLEAN, True, "Follow edits of the file; a broken one changes nothing.")

# Certificates
WORKLOAD_CERT_CHAIN = unset("WORKLOAD_CERT_CHAIN", PATH, "Our chain (PEM), re-read when it changes.")
WORKLOAD_KEY = unset("WORKLOAD_KEY", PATH, "Its key (PEM).")
WORKLOAD_ROOT_CERT = unset("WORKLOAD_ROOT_CERT", PATH, "The roots we trust (PEM).")
WORKLOAD_CERT_DIR = unset(
    "WORKLOAD_CERT_DIR", PATH, "A folder <namespace>/<service account>/ with cert-chain.pem, key.pem, root-cert.pem."
)
CREDENTIALS_DIR = unset(
    "CREDENTIALS_DIR", PATH, "A folder NAME/ with tls.crt, tls.key, ca.crt for each credentialName of DestinationRules."
)
FAKE_CA = setting("FAKE_CA", BOOLEAN, False, "Sign ourselves, with one authority per user. For trying out only.")
FAKE_CA_DIR = unset("FAKE_CA_DIR", PATH, "Where that authority is kept.", note="$XDG_STATE_HOME/hbone-mesh/ca")
SECRET_TTL = setting("SECRET_TTL", POSITIVE_TIME, 86_400.0, "Lifetime of certificates we sign or ask for.")
CA_ADDRESS, CA_ROOT_CA, ALT_CA_HOSTNAME = CA.all

# Where it listens
ADMIN_PORT = setting("ADMIN_PORT", PORT, 15_000, "For people: /config_dump, /clusters, /stats, /listeners, /logging.")
READINESS_PORT = setting("READINESS_PORT", PORT, 15_021, "/healthz/ready.")
IPV6_ENABLED = setting("IPV6_ENABLED", BOOLEAN, True, "Listen on [::] rather than on 0.0.0.0.")

# HTTP
PATH_NORMALIZATION = setting(
    "PATH_NORMALIZATION", Kind(choice("NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"), "LEVEL"), "BASE",
    "How much in a path is made equal before policies and routes look, by Istio's names: NONE; BASE (dot segments, "
    "needless escapes); MERGE_SLASHES (also //); DECODE_AND_MERGE_SLASHES (also %2F).",
)
PROTOCOL_DETECTION_TIMEOUT = setting(
    "PROTOCOL_DETECTION_TIMEOUT", POSITIVE_TIME, 5.0, "A client that is silent so long has a server that speaks first."
)
HTTP_HEAD_TIMEOUT = setting("HTTP_HEAD_TIMEOUT", POSITIVE_TIME, 30.0, "From the first byte of a head to its last.",
                            theirs="none")
HTTP_STREAM_IDLE = setting("HTTP_STREAM_IDLE_TIMEOUT", POSITIVE_TIME, 300.0, "Silence of a request under way.")
HTTP_IDLE = setting("HTTP_IDLE_TIMEOUT", POSITIVE_TIME, 3600.0, "A client's connection without a request.")
HTTP_POOL_IDLE = setting("HTTP_POOL_IDLE_TIMEOUT", POSITIVE_TIME, 60.0, "An upstream connection without a request.",
                         theirs="1h")
MAX_CONNECTIONS = setting("MAX_CONNECTIONS", Kind(whole(1, 1_000_000), "N"), 10_000,
                          "Clients at once; more have the place of an idle one or of a stranger, or are reset.",
                          theirs="none")

# The tunnel
STREAM_WINDOW = setting(
    "HTTP2_STREAM_WINDOW_SIZE", SIZE, 16 * MIB, "Bytes unread on one tunnel before its sender waits.",
    flag="--stream-window",
)
CONNECTION_WINDOW = setting(
    "HTTP2_CONNECTION_WINDOW_SIZE", SIZE, 64 * MIB, "The same for all tunnels together; at least 4 stream windows.",
    flag="--connection-window",
)
POOL_IDLE = setting("POOL_UNUSED_RELEASE_TIMEOUT", POSITIVE_TIME, 300.0, "Until an unused HBONE connection closes.")
UNREAD_BUDGET = unset(
    "UNREAD_BUDGET", SIZE, "Unread bytes this process may hold.", note="a quarter of the memory limit", theirs="none"
)
COMPLIANCE_POLICY = setting("COMPLIANCE_POLICY", Kind(choice("", "pqc"), "pqc"), "", "pqc: X25519MLKEM768 only.")

# Sockets
PACKET_MARK = unset(
    "PACKET_MARK", Kind(whole(0, 2**32 - 1), "N"), "SO_MARK on our connections, for redirection rules.", note="none"
)
KEEPALIVE_ENABLED = setting("KEEPALIVE_ENABLED", BOOLEAN, True, "TCP keepalive.")
KEEPALIVE_TIME = setting("KEEPALIVE_TIME", WHOLE_SECONDS, 180, "Idle time before the first probe.")

# Deadlines
CONNECT_DEADLINE = setting("CONNECT_DEADLINE", POSITIVE_TIME, 10.0, "TCP, to a peer or an application.")
TLS_DEADLINE = setting("TLS_DEADLINE", POSITIVE_TIME, 10.0, "TLS handshake.", theirs="none")
REPLY_DEADLINE = setting("REPLY_DEADLINE", POSITIVE_TIME, 30.0, "The answer to a CONNECT.", theirs="none")
TERMINATION_DRAIN_DURATION = setting(
    "TERMINATION_DRAIN_DURATION_SECONDS", Kind(whole(1, 86_400), "SECONDS"), 5,
    "Open connections may take so long when we end.", flag="--drain-deadline",
)

# What it tells
RUST_LOG = setting(
    "RUST_LOG", FILTER, LogFilter.parse(DEFAULT_FILTER), "Log filter: info, or access=debug,info.", flag="--log"
)
LOG_FORMAT = setting("LOG_FORMAT", Kind(choice("plain", "json"), "plain|json"), "plain", "Lines to read, or JSON.")

PLACE = (NETWORK, CLUSTER_ID, CLUSTER_DOMAIN, TRUST_DOMAIN)
CERTIFICATES = (
    CA_ADDRESS, CA_ROOT_CA, ALT_CA_HOSTNAME, SECRET_TTL, WORKLOAD_CERT_CHAIN, WORKLOAD_KEY, WORKLOAD_ROOT_CERT,
    WORKLOAD_CERT_DIR, FAKE_CA, FAKE_CA_DIR, CREDENTIALS_DIR,
)
CERTIFICATES_TITLE = "Certificates (the first that is set, in this order: CA, files, folder, fake CA)"
PATIENCE = (
    PATH_NORMALIZATION, PROTOCOL_DETECTION_TIMEOUT, HTTP_HEAD_TIMEOUT, HTTP_STREAM_IDLE, HTTP_IDLE, HTTP_POOL_IDLE,
)
CLIENTS = (MAX_CONNECTIONS, *key_sets.ALL)
TUNNEL = (STREAM_WINDOW, CONNECTION_WINDOW, POOL_IDLE, UNREAD_BUDGET, FIRST_BYTES, COMPLIANCE_POLICY, KEY_LOG)
SOCKETS = (PACKET_MARK, KEEPALIVE_ENABLED, KEEPALIVE_TIME, WAIT_AWAKE)
DEADLINES = (CONNECT_DEADLINE, TLS_DEADLINE, REPLY_DEADLINE, TERMINATION_DRAIN_DURATION)

# fmt: on


def embedded_default(local_xds_path: Setting[Any], proxy_workload_info: Setting[Any]) -> EmbeddedDefault:
    """When the embedded world starts instead of the proxy; of the two settings each role tells in its own words."""
    return EmbeddedDefault(
        means_a_proxy=(
            local_xds_path,
            LOCAL_XDS,
            XDS.address,
            CA_ADDRESS,
            proxy_workload_info,
            POD_NAME,
            WORKLOAD_CERT_CHAIN,
            WORKLOAD_KEY,
            WORKLOAD_ROOT_CERT,
            WORKLOAD_CERT_DIR,
        ),
        passed_on=(RUST_LOG, LOG_FORMAT, *TRACING),
    )
