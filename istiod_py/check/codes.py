"""Every remark the linter can make: its code, how bad it is, and what it means [pure].

A code never changes its meaning and is never given to another remark. docs/istiod-checks.md is written from this table.
An error: something is not used as written, or cannot work. A warning: allowed, and probably not meant.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from mesh_py.manifests.metadata import NO_PLACE, Place


class Severity(Enum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"


class Finding(NamedTuple):
    """One remark about one place."""

    code: Code
    place: Place
    what: str
    advice: str = ""

    def __str__(self) -> str:
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.place}: {self.code.severity.value} {self.code.name}: {self.what}{advice}"


class Code(NamedTuple):
    """A kind of remark."""

    name: str
    severity: Severity
    meaning: str
    """One sentence for the table of codes."""

    def at(self, place: Place, what: str, advice: str = "") -> Finding:
        """The remark about a place."""
        return Finding(self, place, what, advice)

    def anywhere(self, what: str) -> Finding:
        """The remark about the folder as a whole."""
        return Finding(self, NO_PLACE, what, advice="")


CODES: dict[str, Code] = {}
"""All codes by name, in the order of the table."""

CHAPTERS = {
    "HM0": "Reading files",
    "HM1": "Objects and names",
    "HM2": "Services and their workloads",
    "HM3": "Policies",
    "HM4": "Routes and rules of hosts",
    "HM5": "Waypoints and participation",
}
"""What the first digit of a code stands for."""


def _error(name: str, meaning: str) -> Code:
    return _code(name, Severity.ERROR, meaning)


def _warning(name: str, meaning: str) -> Code:
    return _code(name, Severity.WARNING, meaning)


def _code(name: str, severity: Severity, meaning: str) -> Code:
    if name in CODES:
        raise ValueError(f"{name} is taken")
    CODES[name] = Code(name, severity, meaning)
    return CODES[name]


# A table is read by its lines: one code each.
# fmt: off

SYNTAX = _error("HM001", "The file is neither YAML nor JSON.")
UNKNOWN_KEY = _error("HM002", "A key that the kind does not have; Kubernetes refuses it or drops it.")
MISSING_KEY = _error("HM003", "A key is missing that the kind cannot do without.")
DOUBLED_KEY = _error("HM004", "A key appears twice; one of its values would be lost.")
VALUE = _error("HM005", "A value that cannot be used: of a wrong type, range or form, or at odds with another.")
UNKNOWN_KIND = _error("HM006", "A kind that is a known one but for a slip of the pen.")
VERSION = _error("HM007", "An API version that is not read any more, not yet, or never was.")
UNREADABLE = _error("HM008", "A file cannot be read, or the folder holds more than is read.")
PASSED_OVER = _warning("HM009", "A kind that does not concern the mesh; it is passed over.")
LIKELY_SLIP = _warning("HM010", "Something is passed over that looks like a slip of the pen.")
NOT_TEXT = _warning("HM011", "A label or annotation whose value is a number or a boolean; Kubernetes refuses it.")
LOCAL_CONFIG = _warning("HM012", "Something in a file of ztunnel's own format that is allowed and probably not meant.")
UNSUPPORTED = _warning("HM013", "A kind or key that concerns the mesh and is not supported; it is passed over.")

DUPLICATE = _error("HM101", "Two objects of one kind and name; the second is left out.")
DUPLICATE_IP = _error("HM102", "Two workloads with one IP address: traffic reaches one of them.")
DUPLICATE_VIP = _error("HM103", "Two services with one virtual address: traffic reaches one of them.")
NO_NAMESPACE = _warning("HM104", "A namespace that no manifest describes: without labels it has no ambient mode.")
NO_ACCOUNT = _warning("HM105", "A service account that no manifest describes; Kubernetes does not start such pods.")
NO_NODE = _warning("HM106", "A node that no manifest describes, though others are described: it has no locality.")
HOST_FORM = _warning("HM107", "A host name with a final dot or upper case: it is compared without, or never equal.")
TEMPLATE = _error("HM108", "A Deployment whose selector does not select its own template; Kubernetes refuses it.")
LOCAL_CONFLICT = _error("HM109", "Something in a file of ztunnel's own format that collides with another object.")
CONVERSION = _warning("HM110", "Another remark of the conversion for node proxies.")
NO_ADDRESS_LEFT = _error("HM111", "A range has no address left for what needs one.")

SELECTS_NOTHING = _warning("HM201", "A selector of a service that selects no workload.")
NO_TARGET_PORT = _error("HM202", "A named target port that none of the selected pods has.")
SOME_TARGET_PORT = _warning("HM203", "A named target port that some of the selected pods do not have.")
SLICE_OF_NOTHING = _warning("HM204", "An EndpointSlice whose Service is not there.")
NO_PORTS = _warning("HM205", "A service without ports: nothing can be reached through it.")
ENDPOINT = _error("HM206", "An endpoint that cannot be used.")
DUPLICATE_HOST = _warning("HM207", "Two services with one host name in one namespace; one of them counts.")
VISIBILITY = _warning("HM208", "An exportTo that node proxies cannot be told.")
NO_ENDPOINTS = _warning("HM209", "A service without a selector and without endpoints.")
WILDCARD_DNS = _error("HM210", "A wildcard host that is to be resolved by DNS.")

DENIES_ALL = _warning("HM301", "An ALLOW policy without rules: it denies everything.")
NEVER_MATCHES = _warning("HM302", "A policy without rules that is no ALLOW: it never matches.")
POLICY_SELECTS_NOTHING = _warning("HM303", "A selector of a policy that selects no workload.")
NO_TARGET = _error("HM304", "A policy is attached to something that is not there.")
TARGET_NAMESPACE = _error("HM305", "A policy in another namespace than what it is attached to.")
TARGET_WITHOUT_WAYPOINT = _warning("HM306", "A policy of a service without a waypoint: nobody enforces it.")
RULE_LEFT_OUT = _warning("HM307", "A rule about requests in an ALLOW of layer 4: it is left out and allows nothing.")
RULE_WIDENED = _warning("HM308", "A rule about requests in a DENY of layer 4: it denies more than it says.")
RULE_DEAD = _warning("HM309", "A DENY of layer 4 of which nothing is left.")
NOT_SENT = _warning("HM310", "A policy that node proxies are not told.")
NO_CALLER = _warning("HM311", "A rule names a caller that is not there, so it matches nobody.")
PRINCIPAL_FORM = _warning("HM312", "A principal in a form that never matches.")
WAYPOINT_NOT_ALLOWED = _warning("HM313", "An ALLOW policy behind a waypoint that does not allow the waypoint.")
PORT_MODE = _warning("HM314", "A mode for a port that the selected pods do not have.")
PLAIN_CLIENTS = _warning("HM315", "Mutual TLS is required while some pods have no proxy, so they cannot call.")
MODE_WITHOUT_EFFECT = _warning("HM316", "A PeerAuthentication that nothing obeys.")
NOBODY_ENFORCES = _warning("HM317", "A policy selects workloads that have no proxy to enforce it.")
NO_TOKENS = _warning("HM318", "A rule about tokens that no RequestAuthentication takes: it never holds.")

NO_PARENT = _error("HM401", "A route is attached to something that is not there.")
NO_PARENT_PORT = _error("HM402", "A route is attached to a port or listener that its parent does not have.")
NO_BACKEND = _error("HM403", "A route leads to a service that is not there: requests get 500.")
NO_BACKEND_PORT = _error("HM404", "A route leads to a port that its service does not have: requests get 500.")
NOT_GRANTED = _error("HM405", "A route of a Gateway leads into another namespace without a ReferenceGrant there.")
NO_ROUTER = _warning("HM406", "A route of a service without a waypoint: only clients with sidecars follow it.")
FAR_ROUTE = _warning("HM407", "A route in another namespace than its service: the waypoint does not follow it.")
NO_BACKENDS = _warning("HM408", "A rule without backends and without an answer of its own: requests get 500.")
NO_WEIGHT = _warning("HM409", "A rule whose backends all have weight zero: requests get 500.")
FOREIGN_FILTER = _error("HM410", "A filter of a kind that no proxy of ours knows: requests that meet it are refused.")
SHADOWED = _warning("HM411", "A match that an equal one stands before: its rule is never reached by it.")
PREFIX_REWRITE = _error("HM412", "A prefix is replaced where no prefix is matched.")
UNREACHED = _warning("HM413", "A kind of backend or parent that is not followed.")
EXPRESSION = _error("HM414", "A regular expression that our proxies cannot follow.")
IDLE_HOSTNAMES = _warning("HM415", "Host names of a route that is attached to Services only: they are not looked at.")
WAYPOINT_PARENT = _warning("HM416", "A route is attached to a waypoint instead of the services behind it.")
RIVAL = _warning("HM417", "A match that an older route of the same parent has, too: the older one takes it.")
NO_HOST = _warning("HM418", "A DestinationRule for a host that is not there.")
EMPTY_SUBSET = _warning("HM419", "A subset of a DestinationRule that no workload of its host is of: requests get 503.")
NO_SUBSET = _error("HM420", "A route names a subset that no DestinationRule has: requests get 500.")
FILTERS_OF_NOBODY = _warning("HM421", "A FilterConfig for a service that is not there, or has no waypoint.")
CREDENTIAL = _warning("HM422", "A DestinationRule wants TLS with a Secret: each proxy reads it from its own disk.")
NO_RULE_PORT = _warning("HM423", "A DestinationRule has settings of a port that no service of its host has.")
RULE_OF_NOBODY = _warning("HM424", "A DestinationRule whose workloadSelector selects nobody: nobody follows it.")
NOT_STRICT = _warning("HM425", "A DestinationRule does without mutual TLS where a sidecar demands it (STRICT).")

NO_WAYPOINT = _error("HM501", "A waypoint is asked for that is not there: traffic goes without it.")
WAYPOINT_SHUT = _error("HM502", "A waypoint is asked for that does not take traffic of this namespace.")
OTHER_TRAFFIC = _warning("HM503", "A waypoint is asked for that takes another sort of traffic.")
WAYPOINT_WITHOUT_PODS = _warning("HM504", "A waypoint without pods: connections to what is behind it are refused.")
WAYPOINT_WITHOUT_LISTENER = _error("HM505", "A waypoint without its listener (protocol HBONE, port 15008).")
UNKNOWN_WORD = _warning("HM506", "A label of the mesh with a value that nobody understands.")
WAYPOINT_UNUSED = _warning("HM507", "A waypoint that nothing asks for.")
CANARY = _warning("HM508", "A canary waypoint that cannot take a share.")

# fmt: on

ABSENCES = frozenset(
    {
        NO_NAMESPACE,
        NO_ACCOUNT,
        NO_NODE,
        SELECTS_NOTHING,
        NO_TARGET_PORT,
        SLICE_OF_NOTHING,
        NO_ENDPOINTS,
        POLICY_SELECTS_NOTHING,
        NO_TARGET,
        TARGET_WITHOUT_WAYPOINT,
        NO_CALLER,
        PORT_MODE,
        NOBODY_ENFORCES,
        NO_PARENT,
        NO_BACKEND,
        NOT_GRANTED,
        NO_ROUTER,
        NO_HOST,
        EMPTY_SUBSET,
        NO_SUBSET,
        FILTERS_OF_NOBODY,
        NO_RULE_PORT,
        RULE_OF_NOBODY,
        NO_WAYPOINT,
        WAYPOINT_WITHOUT_PODS,
        WAYPOINT_UNUSED,
    }
)
"""Remarks that something is not there. They wait until every file can be read: it may be in one that cannot."""
