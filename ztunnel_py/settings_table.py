"""Every setting, once: its environment name, its flag, how it is read, its default, what it means [pure].

Flags, environment, files, `--help`, `config show` and docs/configuration.md all come from this table. Names are the
real ztunnel's wherever the meaning is the same (hbone-dataplane 9, hbone-controlplane 10.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mesh_py.telemetry.log_filter import DEFAULT_FILTER, LogFilter
from ztunnel_py.setting_values import (
    ADDRESS,
    BOOLEAN,
    LOCAL_ADDRESS,
    MAYBE,
    MODE,
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

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

MIB = 1 << 20


@dataclass(frozen=True, eq=False)
class Setting(Generic[T_co]):
    """One thing that can be set. Compared by identity."""

    name: str
    """In the environment and in files."""
    kind: Kind[T_co]
    default: T_co
    """None where nothing is set, or where the default depends on the machine or on other settings (`note`)."""
    meaning: str
    flag: str = ""
    """Without it the flag is the name in lower case, with dashes."""
    also: tuple[str, ...] = ()
    """Other environment names; they win over `name`, in this order."""
    note: str = ""
    """How the default comes about."""
    theirs: str = ""
    """The real ztunnel's default where it is another."""

    @property
    def option(self) -> str:
        """The flag, such as `--node`."""
        return self.flag or "--" + self.name.lower().replace("_", "-")

    @property
    def parameter(self) -> str:
        """The flag as an identifier."""
        return self.name.lower()

    @property
    def default_text(self) -> str:
        """The default as help pages tell it; empty where nothing is set."""
        return self.note or ("" if self.default is None else self.kind.write(self.default))


def _setting(name: str, kind: Kind[T], default: T, meaning: str, **more: Any) -> Setting[T]:
    return Setting(name, kind, default, meaning, **more)


def _unset(name: str, kind: Kind[T], meaning: str, **more: Any) -> Setting[T | None]:
    return Setting(name, kind, None, meaning, **more)


FILTER = Kind(LogFilter.parse, "FILTER")

# A table is read by its lines: one setting, one or two of them.
# fmt: off

# Who it serves
PROXY_MODE = _unset(
    "PROXY_MODE", MODE, "Serve all workloads of a node, or one.", flag="--mode",
    note="node; shared if INPOD_UDS is set", theirs="shared",
)
NODE_NAME = _unset("NODE_NAME", NAME, "Our node; unset, every workload counts as local.", flag="--node")
PROXY_WORKLOAD_INFO = _unset(
    "PROXY_WORKLOAD_INFO", WORKLOAD_INFO, "The workload a dedicated proxy serves.", flag="--workload"
)
NETWORK = _setting("NETWORK", TEXT, "", "Our network.")
CLUSTER_ID = _setting("CLUSTER_ID", NAME, "Kubernetes", "Our cluster.", also=("ISTIO_META_CLUSTER_ID",))
CLUSTER_DOMAIN = _setting("CLUSTER_DOMAIN", NAME, "cluster.local", "Suffix of service host names.")
TRUST_DOMAIN = _setting("TRUST_DOMAIN", NAME, "cluster.local", "For workloads that name none.")

# What it knows of the mesh
LOCAL_XDS_PATH = _unset("LOCAL_XDS_PATH", PATH, "The mesh from a YAML file, or from a config dump.")
LOCAL_XDS = _unset("LOCAL_XDS", TEXT, "The mesh as YAML text.")
LOCAL_XDS_WATCH = _setting(
    "LOCAL_XDS_WATCH", BOOLEAN, True, "Follow edits of the file; a broken one is reported and changes nothing.",
    theirs="never followed",
)
STUB_BACKENDS = _setting(
    "STUB_BACKENDS", BOOLEAN, False,
    "Try a mesh on this machine: every address moves to 127.x.y.z, its applications are stand-ins, its certificates "
    "come from a throw-away CA.",
)
XDS_ADDRESS = _setting("XDS_ADDRESS", TEXT, "", "A control plane: not built yet, must be empty.", theirs="istiod")

# Certificates
WORKLOAD_CERT_CHAIN = _unset("WORKLOAD_CERT_CHAIN", PATH, "Dedicated mode: our chain (PEM), re-read when it changes.")
WORKLOAD_KEY = _unset("WORKLOAD_KEY", PATH, "Dedicated mode: its key (PEM).")
WORKLOAD_ROOT_CERT = _unset("WORKLOAD_ROOT_CERT", PATH, "Dedicated mode: the roots we trust (PEM).")
WORKLOAD_CERT_DIR = _unset(
    "WORKLOAD_CERT_DIR", PATH, "A folder <namespace>/<service account>/ with cert-chain.pem, key.pem, root-cert.pem."
)
FAKE_CA = _setting("FAKE_CA", BOOLEAN, False, "Sign ourselves, with one authority per user. For trying out only.")
FAKE_CA_DIR = _unset(
    "FAKE_CA_DIR", PATH, "Where that authority is kept.", note="$XDG_STATE_HOME/hbone-mesh/ca", theirs="in memory"
)
SECRET_TTL = _setting("SECRET_TTL", POSITIVE_TIME, 86_400.0, "Lifetime of certificates we sign or ask for.")
CA_ADDRESS = _setting("CA_ADDRESS", TEXT, "", "A certificate authority: not built yet; files win.", theirs="istiod")

# Where it listens
PROXY_BIND_ADDRESS = _unset(
    "PROXY_BIND_ADDRESS", ADDRESS, "Address of every listener but admin and SOCKS5.", flag="--bind",
    note="all addresses, IPv4 and IPv6",
)
PROXY_LOCAL_ADDRESS = _unset(
    "PROXY_LOCAL_ADDRESS", ADDRESS, "Loopback address of admin and SOCKS5.", flag="--local-bind",
    note="--bind if that is loopback, else 127.0.0.1",
)
OUTBOUND_PORT = _setting("OUTBOUND_PORT", PORT, 15_001, "Captured connections of our workloads; 0: any free port.")
PLAINTEXT_PORT = _setting("PLAINTEXT_PORT", PORT, 15_006, "Captured plaintext connections to our workloads.")
INBOUND_PORT = _setting("INBOUND_PORT", PORT, 15_008, "HBONE to our workloads.")
SOCKS5_PORT = _setting("SOCKS5_PORT", PORT, 15_080, "SOCKS5, where switched on.")
ADMIN_PORT = _setting("ADMIN_PORT", PORT, 15_000, "/config_dump, /logging, /quitquitquit, profiles.")
STATS_PORT = _setting("STATS_PORT", PORT, 15_020, "/metrics and /stats/prometheus.")
READINESS_PORT = _setting("READINESS_PORT", PORT, 15_021, "/healthz/ready.")
UNSTABLE_ENABLE_SOCKS5 = _setting(
    "UNSTABLE_ENABLE_SOCKS5", BOOLEAN, False, "Capture by SOCKS5: host names come from the mesh.", flag="--socks5"
)
SOCKS5_SOURCE_WORKLOAD = _unset(
    "SOCKS5_SOURCE_WORKLOAD", WORKLOAD_NAME, "Whom a SOCKS client from 127.0.0.1 counts as.", flag="--socks-as"
)
PROXY_PROTOCOL_CAPTURE = _setting(
    "PROXY_PROTOCOL_CAPTURE", BOOLEAN, False, "15001 and 15006 expect PROXY protocol v2; loopback addresses only."
)
IPV6_ENABLED = _setting("IPV6_ENABLED", BOOLEAN, True, "Listen on [::] rather than on 0.0.0.0.")
WORKERS = _setting(
    "ZTUNNEL_WORKER_THREADS", WORKER_COUNT, WorkerCount(1), "Processes that share the ports; 0: one a core.",
    flag="--workers", theirs="a quarter of the cores, as threads",
)

# Names
DNS_CAPTURE = _unset(
    "DNS_CAPTURE", BOOLEAN, "Answer DNS, UDP and TCP: the mesh's names ourselves, others from real name servers.",
    flag="--dns", also=("ISTIO_META_DNS_CAPTURE",), note="on in dedicated mode", theirs="always on",
)
DNS_PROXY_ADDR = _setting(
    "DNS_PROXY_ADDR", LOCAL_ADDRESS, ("localhost", 15_053), "Where; localhost is the address of admin and SOCKS5.",
    also=("ISTIO_META_DNS_PROXY_ADDR",),
)
DNS_UPSTREAM = _setting(
    "DNS_UPSTREAM", NAME_SERVERS, (), "Name servers for what the mesh does not know.",
    note="those of /etc/resolv.conf", theirs="always those",
)
PREFERED_SERVICE_NAMESPACE = _setting(
    "PREFERED_SERVICE_NAMESPACE", TEXT, "", "Of services with one name, whose goes first after one's own and the "
    "canonical one.", flag="--preferred-service-namespace",
)

# The tunnel
STREAM_WINDOW = _setting(
    "HTTP2_STREAM_WINDOW_SIZE", SIZE, 16 * MIB, "Bytes unread on one stream before its sender waits.",
    flag="--stream-window", theirs="4MiB",
)
CONNECTION_WINDOW = _setting(
    "HTTP2_CONNECTION_WINDOW_SIZE", SIZE, 64 * MIB, "The same for all streams together; at least 4 stream windows.",
    flag="--connection-window", theirs="16MiB",
)
FRAME_SIZE = _setting("HTTP2_FRAME_SIZE", SIZE, MIB, "Largest frame we take.", flag="--frame-size")
PING_INTERVAL = _setting("HTTP2_PING_INTERVAL", POSITIVE_TIME, 10.0, "From one answer to the next PING.")
PING_TIMEOUT = _setting("HTTP2_PING_TIMEOUT", POSITIVE_TIME, 20.0, "From a PING to giving the peer up.")
POOL_MAX_STREAMS = _setting(
    "POOL_MAX_STREAMS_PER_CONNECTION", Kind(whole(1, 65_535), "N"), 100, "Tunnels on one connection."
)
POOL_IDLE = _setting("POOL_UNUSED_RELEASE_TIMEOUT", POSITIVE_TIME, 300.0, "An unused connection closes after this.")
UNREAD_BUDGET = _unset(
    "UNREAD_BUDGET", SIZE, "Unread bytes this process may hold.", note="a quarter of the memory limit", theirs="none"
)
LENIENT_RESETS = _setting("LENIENT_RESETS", BOOLEAN, False, "Pass resets on as clean ends, as the real ztunnel does.",
                          theirs="always")
ENABLE_RESPONSE_BAGGAGE = _setting("ENABLE_RESPONSE_BAGGAGE", BOOLEAN, True, "Send baggage with answers, read it.")
LOCALHOST_APP_TUNNEL = _setting(
    "LOCALHOST_APP_TUNNEL", BOOLEAN, True, "Reach applications that take PROXY protocol at the loopback address.",
)
TLS12_ENABLED = _setting("TLS12_ENABLED", BOOLEAN, False, "Also speak TLS 1.2.")
COMPLIANCE_POLICY = _setting("COMPLIANCE_POLICY", Kind(choice("", "pqc"), "pqc"), "", "pqc: X25519MLKEM768 only.")
CRL_PATH = _unset(
    "CRL_PATH", PATH, "Revocation lists (PEM, or one in DER), followed; peers on them are refused and ended.",
)
KEY_LOG = _setting("KEY_LOG", BOOLEAN, False, "Write TLS secrets to the file SSLKEYLOGFILE names. For debugging only.")

# Sockets
ENABLE_ORIG_SRC = _unset(
    "ENABLE_ORIG_SRC", MAYBE, "Reach applications from the client's own address.", note="auto: where the rights are"
)
PACKET_MARK = _unset(
    "PACKET_MARK", Kind(whole(0, 2**32 - 1), "N"), "SO_MARK on our connections, for redirection rules.", note="none"
)
KEEPALIVE_ENABLED = _setting("KEEPALIVE_ENABLED", BOOLEAN, True, "TCP keepalive.")
KEEPALIVE_TIME = _setting("KEEPALIVE_TIME", WHOLE_SECONDS, 180, "Idle time before the first probe.")
KEEPALIVE_INTERVAL = _setting("KEEPALIVE_INTERVAL", WHOLE_SECONDS, 180, "From one probe to the next.")
KEEPALIVE_RETRIES = _setting("KEEPALIVE_RETRIES", Kind(whole(1, 127), "N"), 9, "Probes before giving up.")
USER_TIMEOUT_ENABLED = _setting("USER_TIMEOUT_ENABLED", BOOLEAN, False, "The same bound for unacknowledged data.")

# Deadlines
CONNECT_DEADLINE = _setting("CONNECT_DEADLINE", POSITIVE_TIME, 10.0, "TCP, to a peer or an application.")
TLS_DEADLINE = _setting("TLS_DEADLINE", POSITIVE_TIME, 10.0, "TLS handshake.", theirs="none")
SETTINGS_DEADLINE = _setting("SETTINGS_DEADLINE", POSITIVE_TIME, 10.0, "The peer's first SETTINGS.", theirs="none")
REPLY_DEADLINE = _setting("REPLY_DEADLINE", POSITIVE_TIME, 30.0, "The answer to a CONNECT.", theirs="none")
STATE_WAIT = _setting("STATE_WAIT", POSITIVE_TIME, 5.0, "For a workload that is not known yet.")
POLICY_WAIT = _setting("POLICY_WAIT", POSITIVE_TIME, 5.0, "For a policy that is named but not known; then deny.",
                       theirs="0s, and allow")
CONNECTION_TERMINATION_DEADLINE = _unset(
    "CONNECTION_TERMINATION_DEADLINE", POSITIVE_TIME, "Open connections may take so long when we end.",
    flag="--drain-deadline", note="from the next one, else 5s",
)
TERMINATION_GRACE_PERIOD = _unset(
    "TERMINATION_GRACE_PERIOD_SECONDS", Kind(whole(1, 86_400), "SECONDS"),
    "Until we would be killed: the drain takes 5 s less (1 s less up to 10), at least 1 s.",
)

# What it tells
RUST_LOG = _setting(
    "RUST_LOG", FILTER, LogFilter.parse(DEFAULT_FILTER), "Log filter: info, or access=debug,info.", flag="--log"
)
LOG_FORMAT = _setting("LOG_FORMAT", Kind(choice("plain", "json"), "plain|json"), "plain", "Lines to read, or JSON.")
AUTHZ_INFO = _setting("AUTHZ_POLICY_INFO_LOGGING", BOOLEAN, False, "Log policy decisions at info instead of debug.")

SECTIONS: dict[str, tuple[Setting[Any], ...]] = {
    "Whom it serves": (
        PROXY_MODE, NODE_NAME, PROXY_WORKLOAD_INFO, NETWORK, CLUSTER_ID, CLUSTER_DOMAIN, TRUST_DOMAIN,
    ),
    "What it knows of the mesh": (LOCAL_XDS_PATH, LOCAL_XDS, LOCAL_XDS_WATCH, STUB_BACKENDS, XDS_ADDRESS),
    "Certificates (the first that is set, in this order: CA, files, folder, fake CA)": (
        CA_ADDRESS, WORKLOAD_CERT_CHAIN, WORKLOAD_KEY, WORKLOAD_ROOT_CERT, WORKLOAD_CERT_DIR, FAKE_CA, FAKE_CA_DIR,
        SECRET_TTL,
    ),
    "Where it listens": (
        PROXY_BIND_ADDRESS, PROXY_LOCAL_ADDRESS, OUTBOUND_PORT, PLAINTEXT_PORT, INBOUND_PORT, SOCKS5_PORT, ADMIN_PORT,
        STATS_PORT, READINESS_PORT, UNSTABLE_ENABLE_SOCKS5, SOCKS5_SOURCE_WORKLOAD, PROXY_PROTOCOL_CAPTURE,
        IPV6_ENABLED, WORKERS,
    ),
    "Names": (DNS_CAPTURE, DNS_PROXY_ADDR, DNS_UPSTREAM, PREFERED_SERVICE_NAMESPACE),
    "The tunnel": (
        STREAM_WINDOW, CONNECTION_WINDOW, FRAME_SIZE, PING_INTERVAL, PING_TIMEOUT, POOL_MAX_STREAMS, POOL_IDLE,
        UNREAD_BUDGET, LENIENT_RESETS, ENABLE_RESPONSE_BAGGAGE, LOCALHOST_APP_TUNNEL, TLS12_ENABLED, COMPLIANCE_POLICY,
        CRL_PATH, KEY_LOG,
    ),
    "Sockets": (
        ENABLE_ORIG_SRC, PACKET_MARK, KEEPALIVE_ENABLED, KEEPALIVE_TIME, KEEPALIVE_INTERVAL, KEEPALIVE_RETRIES,
        USER_TIMEOUT_ENABLED,
    ),
    "Deadlines": (
        CONNECT_DEADLINE, TLS_DEADLINE, SETTINGS_DEADLINE, REPLY_DEADLINE, STATE_WAIT, POLICY_WAIT,
        CONNECTION_TERMINATION_DEADLINE, TERMINATION_GRACE_PERIOD,
    ),
    "What it tells": (RUST_LOG, LOG_FORMAT, AUTHZ_INFO),
}
"""All of them, in the order help pages show them."""

# fmt: on

ALL: tuple[Setting[Any], ...] = tuple(setting for settings in SECTIONS.values() for setting in settings)
BY_NAME: dict[str, Setting[Any]] = {name: one for one in ALL for name in (one.name, *one.also)}
