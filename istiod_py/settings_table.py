"""Every setting of the control plane, once [pure]. Names are istiod's wherever the meaning is the same (cp 10.2).

docs/control-plane.md comes from this table, too.
"""

from __future__ import annotations

from mesh_py.model.address import Cidr
from mesh_py.settings.kinds import ADDRESS, BOOLEAN, NAME, PATH, PORT, POSITIVE_TIME, TEXT, Kind, choice, whole
from mesh_py.settings.setting import SettingsTable, setting, unset
from mesh_py.telemetry.log_filter import DEFAULT_FILTER, LogFilter

DAY = 86_400.0
FILTER = Kind(LogFilter.parse, "FILTER")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.replace(",", " ").split()))
    if any("/" in name for name in names):
        raise ValueError("is not a list of names, such as istiod.example,mesh.example")
    return names


def _accounts(text: str) -> tuple[str, ...]:
    accounts = tuple(filter(None, text.replace(",", " ").split()))
    if not all(account.count("/") == 1 and all(account.split("/")) for account in accounts):
        raise ValueError("is not a list of namespace/service-account")
    return accounts


def _block(text: str) -> Cidr:
    problem = "is not a block of addresses, such as 10.244.0.0/14"
    if "/" not in text:
        raise ValueError(problem)
    try:
        return Cidr.parse(text)
    except ValueError:
        raise ValueError(problem) from None


def _write_list(names: tuple[str, ...]) -> str:
    return ",".join(names)


NAMES = Kind(_names, "NAME,...", _write_list)
ACCOUNTS = Kind(_accounts, "NS/SA,...", _write_list)
BLOCK = Kind(_block, "CIDR")

# A table is read by its lines: one setting, one or two of them.
# fmt: off

# The mesh
CONFIG_DIR = unset("CONFIG_DIR", PATH, "The folder of manifests; it is followed.", flag="--config")
CLUSTER_ID = setting("CLUSTER_ID", NAME, "Kubernetes", "Our cluster; leads the uid of every workload.")
NETWORK = setting("NETWORK", TEXT, "", "Of workloads that name none.")
TRUST_DOMAIN = setting("TRUST_DOMAIN", NAME, "cluster.local", "Of all identities.")
CLUSTER_DOMAIN = setting("CLUSTER_DOMAIN", NAME, "cluster.local", "Suffix of service host names.", flag="--domain")
ROOT_NAMESPACE = setting("ROOT_NAMESPACE", NAME, "istio-system", "Policies without selector here are for everybody.")
DRY_RUN = setting(
    "AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY", BOOLEAN, False, "Send policies that are only to be logged.",
    flag="--dry-run-policies",
)
ALLOW_WAYPOINTS = setting(
    "PILOT_AUTO_ALLOW_WAYPOINT_POLICY", BOOLEAN, False, "Let every waypoint reach what is behind it.",
    flag="--allow-waypoints",
)
POD_CIDR = setting("POD_CIDR", BLOCK, Cidr.parse("10.244.0.0/14"), "Addresses for pods that have none.")
SERVICE_CIDR = setting("SERVICE_CIDR", BLOCK, Cidr.parse("10.96.0.0/12"), "For services that have none.")
SERVICE_ENTRY_CIDR = setting(
    "SERVICE_ENTRY_CIDR", BLOCK, Cidr.parse("240.240.0.0/16"), "For hosts of ServiceEntries that have none.",
)
DEBOUNCE_AFTER = setting("PILOT_DEBOUNCE_AFTER", POSITIVE_TIME, 0.1, "Push when it was quiet for so long ...")
DEBOUNCE_MAX = setting("PILOT_DEBOUNCE_MAX", POSITIVE_TIME, 10.0, "... or after this, however busy it is.")

# Who may come in
CA_TRUSTED_NODE_ACCOUNTS = setting(
    "CA_TRUSTED_NODE_ACCOUNTS", ACCOUNTS, ("istio-system/ztunnel",),
    "Node proxies: they get certificates for the pods of their node.", theirs="none; the chart sets it",
)
TOKEN_AUDIENCES = setting("TOKEN_AUDIENCES", NAMES, ("istio-ca",), "Tokens meant for one of these are taken.")
IDENTITY_CHECK = setting(
    "PILOT_ENABLE_XDS_IDENTITY_CHECK", BOOLEAN, True, "A proxy must be what its token says.", flag="--identity-check"
)

# Certificates
STATE_DIR = unset(
    "STATE_DIR", PATH, "Where the key of tokens and the authority are kept.",
    note="$XDG_STATE_HOME/hbone-mesh/istiod",
)
CA_DIR = unset(
    "CA_DIR", PATH, "The authority: root-cert.pem, root-key.pem, and ca-cert.pem, ca-key.pem for an intermediate.",
    note="ca in STATE_DIR",
)
CA_INTERMEDIATE = setting("CA_INTERMEDIATE", BOOLEAN, False, "Sign with an intermediate below the root.")
DEFAULT_TTL = setting("DEFAULT_WORKLOAD_CERT_TTL", POSITIVE_TIME, DAY, "Lifetime of certificates.", flag="--cert-ttl")
MAX_TTL = setting(
    "MAX_WORKLOAD_CERT_TTL", POSITIVE_TIME, 90 * DAY, "The longest that is granted.", flag="--max-cert-ttl"
)
DNS_NAMES = setting(
    "DNS_NAMES", NAMES, (), "More names and addresses of ours, for the certificate of 15012.", flag="--dns-name",
)

# Where it listens
PROXY_BIND_ADDRESS = unset(
    "PROXY_BIND_ADDRESS", ADDRESS, "Address of 15012.", flag="--bind", note="all addresses, IPv4 and IPv6",
)
PROXY_LOCAL_ADDRESS = unset(
    "PROXY_LOCAL_ADDRESS", ADDRESS, "Loopback address of 15010 and 15014.", flag="--local-bind",
    note="--bind if that is loopback, else 127.0.0.1",
)
SECURE_GRPC_PORT = setting("SECURE_GRPC_PORT", PORT, 15_012, "Discovery and certificates over TLS; 0: any free port.")
GRPC_PORT = setting("GRPC_PORT", PORT, 15_010, "Discovery in plaintext.")
MONITORING_PORT = setting("MONITORING_PORT", PORT, 15_014, "/metrics, /debug, /ready.")
PLAINTEXT_XDS = setting("PLAINTEXT_XDS", BOOLEAN, True, "Serve 15010 at all: whoever reaches it may read the mesh.")
TLS12_ENABLED = setting("TLS12_ENABLED", BOOLEAN, False, "Also speak TLS 1.2.")
COMPLIANCE_POLICY = setting("COMPLIANCE_POLICY", Kind(choice("", "pqc"), "pqc"), "", "pqc: X25519MLKEM768 only.")

# Limits
MOST_CONNECTIONS = setting("MOST_CONNECTIONS", Kind(whole(1, 65_535), "N"), 2000, "Connections at once, per port.")
CONNECTION_AGE = setting(
    "CONNECTION_AGE", POSITIVE_TIME, 1800.0, "Connections end politely at this age, so that proxies spread.",
    flag="--keepalive-max-server-connection-age", theirs="never; the chart sets 30m",
)
SEND_DEADLINE = setting("SEND_DEADLINE", POSITIVE_TIME, 20.0, "A proxy that does not read for so long is cut off.",
                        theirs="never")
DRAIN_DEADLINE = setting("DRAIN_DEADLINE", POSITIVE_TIME, 5.0, "Calls may take so long when we end.")

# What it tells
LOG = setting("ISTIOD_LOG", FILTER, LogFilter.parse(DEFAULT_FILTER), "Log filter: info, or ads=debug,info.",
              flag="--log", also=("RUST_LOG",))
LOG_FORMAT = setting("LOG_FORMAT", Kind(choice("plain", "json"), "plain|json"), "plain", "Lines to read, or JSON.")

TABLE = SettingsTable({
    "The mesh": (
        CONFIG_DIR, CLUSTER_ID, NETWORK, TRUST_DOMAIN, CLUSTER_DOMAIN, ROOT_NAMESPACE, DRY_RUN, ALLOW_WAYPOINTS,
        POD_CIDR, SERVICE_CIDR, SERVICE_ENTRY_CIDR, DEBOUNCE_AFTER, DEBOUNCE_MAX,
    ),
    "Who may come in": (CA_TRUSTED_NODE_ACCOUNTS, TOKEN_AUDIENCES, IDENTITY_CHECK),
    "Certificates": (STATE_DIR, CA_DIR, CA_INTERMEDIATE, DEFAULT_TTL, MAX_TTL, DNS_NAMES),
    "Where it listens": (
        PROXY_BIND_ADDRESS, PROXY_LOCAL_ADDRESS, SECURE_GRPC_PORT, GRPC_PORT, MONITORING_PORT, PLAINTEXT_XDS,
        TLS12_ENABLED, COMPLIANCE_POLICY,
    ),
    "Limits": (MOST_CONNECTIONS, CONNECTION_AGE, SEND_DEADLINE, DRAIN_DEADLINE),
    "What it tells": (LOG, LOG_FORMAT),
})
"""All of them, in the order help pages show them."""

# fmt: on
