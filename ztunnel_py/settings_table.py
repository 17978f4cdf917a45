"""Every setting, once: its environment name, its flag, how it is read, its default, what it means [pure].

docs/configuration.md comes from this table, too. Names are the
real ztunnel's wherever the meaning is the same (hbone-dataplane 9, hbone-controlplane 10.1).
"""

from __future__ import annotations

from mesh_py.settings.control_plane import AUTH_TOKEN, CA, XDS
from mesh_py.settings.discovery import NODE_SETTINGS, XDS_ON_DEMAND
from mesh_py.settings.first_bytes import FIRST_BYTES
from mesh_py.settings.key_log import KEY_LOG
from mesh_py.settings.kinds import (
    ADDRESS,
    BOOLEAN,
    LOCAL_ADDRESS,
    MAYBE,
    NAME,
    NAME_SERVERS,
    PATH,
    PORT,
    POSITIVE_TIME,
    SIZE,
    TEXT,
    WHOLE_SECONDS,
    WORKER_COUNT,
    WORKLOAD_INFO,
    WORKLOAD_NAME,
    Kind,
    WorkerCount,
    choice,
    whole,
)
from mesh_py.settings.setting import SettingsTable, setting, unset
from mesh_py.settings.tracing import TRACING
from mesh_py.settings.wait_awake import WAIT_AWAKE
from mesh_py.telemetry.log_filter import DEFAULT_FILTER, LogFilter
from ztunnel_py.mode import MODE

MIB = 1 << 20


FILTER = Kind(LogFilter.parse, "FILTER")

# A table is read by its lines: one setting, one or two of them.
# fmt: off

# Who it serves
PROXY_MODE = unset(
    "PROXY_MODE", MODE, "Serve all workloads of a node, one, or pods in their own networks.", flag="--mode",
    note="node; shared if INPOD_UDS is set", theirs="shared",
)
ENABLE_PROXY = setting(
    "ENABLE_PROXY", BOOLEAN, True, "Carry connections; without it names alone are answered.", flag="--proxy"
)
NODE_NAME = unset("NODE_NAME", NAME, "Our node; unset, every workload counts as local.", flag="--node")
PROXY_WORKLOAD_INFO = unset(
    "PROXY_WORKLOAD_INFO", WORKLOAD_INFO, "The workload a dedicated proxy serves.", flag="--workload"
)
INPOD_UDS = unset(
    "INPOD_UDS", PATH, "Shared mode: the socket where the node's agent announces pods.",
    note="/var/run/ztunnel/ztunnel.sock",
)
INPOD_PORT_REUSE = setting(
    "INPOD_PORT_REUSE", BOOLEAN, True, "Shared mode: pods' ports may be listened on by our successor, too."
)
NETWORK = setting("NETWORK", TEXT, "", "Our network.")
CLUSTER_ID = setting("CLUSTER_ID", NAME, "Kubernetes", "Our cluster.", also=("ISTIO_META_CLUSTER_ID",))
CLUSTER_DOMAIN = setting("CLUSTER_DOMAIN", NAME, "cluster.local", "Suffix of service host names.")
TRUST_DOMAIN = setting("TRUST_DOMAIN", NAME, "cluster.local", "For workloads that name none.")

# What it knows of the mesh
LOCAL_XDS_PATH = unset("LOCAL_XDS_PATH", PATH, "The mesh from a YAML file, or from a config dump.")
LOCAL_XDS = unset("LOCAL_XDS", TEXT, "The mesh as YAML text.")
LOCAL_XDS_WATCH = setting(
    "LOCAL_XDS_WATCH", BOOLEAN, True, "Follow edits of the file; a broken one is reported and changes nothing.",
    theirs="never followed",
)
STUB_BACKENDS = setting(
    "STUB_BACKENDS", BOOLEAN, False,
    "Try a mesh on this machine: every address moves to 127.x.y.z, its applications are stand-ins, its certificates "
    "come from a throw-away CA.",
)

# Certificates
WORKLOAD_CERT_CHAIN = unset("WORKLOAD_CERT_CHAIN", PATH, "Dedicated mode: our chain (PEM), re-read when it changes.")
WORKLOAD_KEY = unset("WORKLOAD_KEY", PATH, "Dedicated mode: its key (PEM).")
WORKLOAD_ROOT_CERT = unset("WORKLOAD_ROOT_CERT", PATH, "Dedicated mode: the roots we trust (PEM).")
WORKLOAD_CERT_DIR = unset(
    "WORKLOAD_CERT_DIR", PATH, "A folder <namespace>/<service account>/ with cert-chain.pem, key.pem, root-cert.pem."
)
FAKE_CA = setting("FAKE_CA", BOOLEAN, False, "Sign ourselves, with one authority per user. For trying out only.")
FAKE_CA_DIR = unset(
    "FAKE_CA_DIR", PATH, "Where that authority is kept.", note="$XDG_STATE_HOME/hbone-mesh/ca", theirs="in memory"
)
SECRET_TTL = setting("SECRET_TTL", POSITIVE_TIME, 86_400.0, "Lifetime of certificates we sign or ask for.")
CA_ADDRESS, CA_ROOT_CA, ALT_CA_HOSTNAME = CA.all

# Where it listens
PROXY_BIND_ADDRESS = unset(
    "PROXY_BIND_ADDRESS", ADDRESS, "Address of every listener but admin and SOCKS5.", flag="--bind",
    note="all addresses, IPv4 and IPv6",
)
PROXY_LOCAL_ADDRESS = unset(
    "PROXY_LOCAL_ADDRESS", ADDRESS, "Loopback address of admin and SOCKS5.", flag="--local-bind",
    note="--bind if that is loopback, else 127.0.0.1; admin on ::1 too if neither is set",
)
OUTBOUND_PORT = setting("OUTBOUND_PORT", PORT, 15_001, "Captured connections of our workloads; 0: any free port.")
PLAINTEXT_PORT = setting("PLAINTEXT_PORT", PORT, 15_006, "Captured plaintext connections to our workloads.")
INBOUND_PORT = setting("INBOUND_PORT", PORT, 15_008, "HBONE to our workloads.")
SOCKS5_PORT = setting("SOCKS5_PORT", PORT, 15_080, "SOCKS5, where switched on.")
ADMIN_PORT = setting("ADMIN_PORT", PORT, 15_000, "/config_dump, /logging, /quitquitquit, profiles.")
STATS_PORT = setting("STATS_PORT", PORT, 15_020, "/metrics and /stats/prometheus.")
READINESS_PORT = setting("READINESS_PORT", PORT, 15_021, "/healthz/ready.")
UNSTABLE_ENABLE_SOCKS5 = setting(
    "UNSTABLE_ENABLE_SOCKS5", BOOLEAN, False, "Capture by SOCKS5: host names come from the mesh.", flag="--socks5"
)
SOCKS5_SOURCE_WORKLOAD = unset(
    "SOCKS5_SOURCE_WORKLOAD", WORKLOAD_NAME, "Whom a SOCKS client from 127.0.0.1 counts as.", flag="--socks-as"
)
PROXY_PROTOCOL_CAPTURE = setting(
    "PROXY_PROTOCOL_CAPTURE", BOOLEAN, False, "15001 and 15006 expect PROXY protocol v2; loopback addresses only."
)
IPV6_ENABLED = setting("IPV6_ENABLED", BOOLEAN, True, "Listen on [::] rather than on 0.0.0.0.")
WORKERS = setting(
    "ZTUNNEL_WORKER_THREADS", WORKER_COUNT, WorkerCount(1), "Processes that share the ports; 0: one a core.",
    flag="--workers", theirs="a quarter of the cores, as threads",
)

# Names
DNS_CAPTURE = unset(
    "DNS_CAPTURE", BOOLEAN, "Answer DNS, UDP and TCP: the mesh's names ourselves, others from real name servers.",
    flag="--dns", also=("ISTIO_META_DNS_CAPTURE",), note="on in dedicated and shared mode", theirs="always on",
)
DNS_PROXY_ADDR = setting(
    "DNS_PROXY_ADDR", LOCAL_ADDRESS, ("localhost", 15_053), "Where; localhost is the address of admin and SOCKS5.",
    also=("ISTIO_META_DNS_PROXY_ADDR",),
)
DNS_UPSTREAM = setting(
    "DNS_UPSTREAM", NAME_SERVERS, (), "Name servers for what the mesh does not know.",
    note="those of /etc/resolv.conf", theirs="always those",
)
PREFERED_SERVICE_NAMESPACE = setting(
    "PREFERED_SERVICE_NAMESPACE", TEXT, "", "Of services with one name, whose goes first after one's own and the "
    "canonical one.", flag="--preferred-service-namespace",
)

# The tunnel
STREAM_WINDOW = setting(
    "HTTP2_STREAM_WINDOW_SIZE", SIZE, 16 * MIB, "Bytes unread on one stream before its sender waits.",
    flag="--stream-window", theirs="4MiB",
)
CONNECTION_WINDOW = setting(
    "HTTP2_CONNECTION_WINDOW_SIZE", SIZE, 64 * MIB, "The same for all streams together; at least 4 stream windows.",
    flag="--connection-window", theirs="16MiB",
)
FRAME_SIZE = setting("HTTP2_FRAME_SIZE", SIZE, MIB, "Largest frame we take.", flag="--frame-size")
PING_INTERVAL = setting("HTTP2_PING_INTERVAL", POSITIVE_TIME, 10.0, "From one answer to the next PING.")
PING_TIMEOUT = setting("HTTP2_PING_TIMEOUT", POSITIVE_TIME, 20.0, "From a PING to giving the peer up.")
POOL_MAX_STREAMS = setting(
    "POOL_MAX_STREAMS_PER_CONNECTION",
    Kind(whole(1, 65_535), "N"),
    100,
    "Tunnels on one connection; there are more, up to four, where one would stand behind another's bulk.",
)
POOL_IDLE = setting("POOL_UNUSED_RELEASE_TIMEOUT", POSITIVE_TIME, 300.0, "An unused connection closes after this.")
UNREAD_BUDGET = unset(
    "UNREAD_BUDGET", SIZE, "Unread bytes this process may hold.", note="a quarter of the memory limit", theirs="none"
)
SAME_NODE_INSIDE = setting(
    "SAME_NODE_INSIDE", BOOLEAN, False, "Node mode: HBONE between our own workloads stays inside the process, but to "
    "who speaks it by itself (`nativeTunnel`). Istio 1.18's redirection needs it.", theirs="never",
)
LENIENT_RESETS = setting("LENIENT_RESETS", BOOLEAN, False, "Pass resets on as clean ends, as the real ztunnel does.",
                         theirs="always")
ENABLE_RESPONSE_BAGGAGE = setting("ENABLE_RESPONSE_BAGGAGE", BOOLEAN, True, "Send baggage with answers, read it.")
LOCALHOST_APP_TUNNEL = setting(
    "LOCALHOST_APP_TUNNEL", BOOLEAN, True, "Reach applications that take PROXY protocol at the loopback address.",
)
TLS12_ENABLED = setting("TLS12_ENABLED", BOOLEAN, False, "Also speak TLS 1.2.")
XDS_ON_DEMAND_UNANSWERED = setting(
    "XDS_ON_DEMAND_UNANSWERED", Kind(choice("refuse", "pass"), "refuse|pass"), "refuse",
    "Connections to addresses that the control plane told nothing about in time: refuse, or pass in plaintext.",
    theirs="waits for ever",
)
COMPLIANCE_POLICY = setting("COMPLIANCE_POLICY", Kind(choice("", "pqc"), "pqc"), "", "pqc: X25519MLKEM768 only.")
CRL_PATH = unset(
    "CRL_PATH", PATH, "Revocation lists (PEM, or one in DER), followed; peers on them are refused and ended.",
)

# Sockets
ENABLE_ORIG_SRC = unset(
    "ENABLE_ORIG_SRC", MAYBE, "Reach applications from the client's own address.", note="auto: where the rights are"
)
PACKET_MARK = unset(
    "PACKET_MARK", Kind(whole(0, 2**32 - 1), "N"), "SO_MARK on our connections, for redirection rules.",
    note="1337 in shared mode, else none",
)
KEEPALIVE_ENABLED = setting("KEEPALIVE_ENABLED", BOOLEAN, True, "TCP keepalive.")
KEEPALIVE_TIME = setting("KEEPALIVE_TIME", WHOLE_SECONDS, 180, "Idle time before the first probe.")
KEEPALIVE_INTERVAL = setting("KEEPALIVE_INTERVAL", WHOLE_SECONDS, 180, "From one probe to the next.")
KEEPALIVE_RETRIES = setting("KEEPALIVE_RETRIES", Kind(whole(1, 127), "N"), 9, "Probes before giving up.")
USER_TIMEOUT_ENABLED = setting("USER_TIMEOUT_ENABLED", BOOLEAN, False, "The same bound for unacknowledged data.")

# Deadlines
CONNECT_DEADLINE = setting("CONNECT_DEADLINE", POSITIVE_TIME, 10.0, "TCP, to a peer or an application.")
TLS_DEADLINE = setting("TLS_DEADLINE", POSITIVE_TIME, 10.0, "TLS handshake.", theirs="none")
SETTINGS_DEADLINE = setting("SETTINGS_DEADLINE", POSITIVE_TIME, 10.0, "The peer's first SETTINGS.", theirs="none")
REPLY_DEADLINE = setting("REPLY_DEADLINE", POSITIVE_TIME, 30.0, "The answer to a CONNECT.", theirs="none")
STATE_WAIT = setting("STATE_WAIT", POSITIVE_TIME, 5.0, "For a workload that is not known yet.")
POLICY_WAIT = setting("POLICY_WAIT", POSITIVE_TIME, 5.0, "For a policy that is named but not known; then deny.",
                      theirs="0s, and allow")
CERTIFICATE_WAIT = setting("CERTIFICATE_WAIT", POSITIVE_TIME, 10.0, "For a certificate that is being signed elsewhere.",
                           theirs="none")
CONNECTION_TERMINATION_DEADLINE = unset(
    "CONNECTION_TERMINATION_DEADLINE", POSITIVE_TIME, "Open connections may take so long when we end.",
    flag="--drain-deadline", note="from the next one, else 5s",
)
TERMINATION_GRACE_PERIOD = unset(
    "TERMINATION_GRACE_PERIOD_SECONDS", Kind(whole(1, 86_400), "SECONDS"),
    "Until we would be killed: the drain takes 5 s less (1 s less up to 10), at least 1 s.",
)

# What it tells
RUST_LOG = setting(
    "RUST_LOG", FILTER, LogFilter.parse(DEFAULT_FILTER), "Log filter: info, or access=debug,info.", flag="--log"
)
LOG_FORMAT = setting("LOG_FORMAT", Kind(choice("plain", "json"), "plain|json"), "plain", "Lines to read, or JSON.")
AUTHZ_INFO = setting("AUTHZ_POLICY_INFO_LOGGING", BOOLEAN, False, "Log policy decisions at info instead of debug.")

TABLE = SettingsTable({
    "Whom it serves": (
        PROXY_MODE, ENABLE_PROXY, NODE_NAME, PROXY_WORKLOAD_INFO, INPOD_UDS, INPOD_PORT_REUSE, NETWORK, CLUSTER_ID,
        CLUSTER_DOMAIN, TRUST_DOMAIN,
    ),
    "What it knows of the mesh": (LOCAL_XDS_PATH, LOCAL_XDS, LOCAL_XDS_WATCH, STUB_BACKENDS),
    "The control plane it follows": (*XDS.all, XDS_ON_DEMAND, XDS_ON_DEMAND_UNANSWERED, AUTH_TOKEN, *NODE_SETTINGS),
    "Certificates (the first that is set, in this order: CA, files, folder, fake CA)": (
        CA_ADDRESS, CA_ROOT_CA, ALT_CA_HOSTNAME, SECRET_TTL, WORKLOAD_CERT_CHAIN, WORKLOAD_KEY, WORKLOAD_ROOT_CERT,
        WORKLOAD_CERT_DIR, FAKE_CA, FAKE_CA_DIR,
    ),
    "Where it listens": (
        PROXY_BIND_ADDRESS, PROXY_LOCAL_ADDRESS, OUTBOUND_PORT, PLAINTEXT_PORT, INBOUND_PORT, SOCKS5_PORT, ADMIN_PORT,
        STATS_PORT, READINESS_PORT, UNSTABLE_ENABLE_SOCKS5, SOCKS5_SOURCE_WORKLOAD, PROXY_PROTOCOL_CAPTURE,
        IPV6_ENABLED, WORKERS,
    ),
    "Names": (DNS_CAPTURE, DNS_PROXY_ADDR, DNS_UPSTREAM, PREFERED_SERVICE_NAMESPACE),
    "The tunnel": (
        STREAM_WINDOW, CONNECTION_WINDOW, FRAME_SIZE, PING_INTERVAL, PING_TIMEOUT, POOL_MAX_STREAMS, POOL_IDLE,
        UNREAD_BUDGET, FIRST_BYTES, LENIENT_RESETS, ENABLE_RESPONSE_BAGGAGE, LOCALHOST_APP_TUNNEL, TLS12_ENABLED,
        COMPLIANCE_POLICY, CRL_PATH, KEY_LOG, SAME_NODE_INSIDE,
    ),
    "Sockets": (
        ENABLE_ORIG_SRC, PACKET_MARK, KEEPALIVE_ENABLED, KEEPALIVE_TIME, KEEPALIVE_INTERVAL, KEEPALIVE_RETRIES,
        USER_TIMEOUT_ENABLED, WAIT_AWAKE,
    ),
    "Deadlines": (
        CONNECT_DEADLINE, TLS_DEADLINE, SETTINGS_DEADLINE, REPLY_DEADLINE, STATE_WAIT, POLICY_WAIT, CERTIFICATE_WAIT,
        CONNECTION_TERMINATION_DEADLINE, TERMINATION_GRACE_PERIOD,
    ),
    "What it tells": (RUST_LOG, LOG_FORMAT, AUTHZ_INFO),
    "Traces": TRACING,
})
"""All of them, in the order help pages show them."""

PROXY_CONFIG_KEYS = {
    "discoveryAddress": XDS.address, "proxyAdminPort": ADMIN_PORT, "statsPort": STATS_PORT, "concurrency": WORKERS,
}
"""What we know of a ProxyConfig (hbone-dataplane 9)."""

# fmt: on
