"""Istio's security kinds: PeerAuthentication, AuthorizationPolicy, RequestAuthentication [pure].

Strings of a policy stay as written: `*`, `*suffix`, `prefix*`, or exact. Whoever evaluates them knows which fields
have other forms (hosts without case, path templates).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from mesh_py.manifests.metadata import NO_PLACE, Metadata, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.references import TargetReference
    from mesh_py.model.address import Cidr

Texts = tuple[str, ...]
Blocks = tuple["Cidr", ...]


class MutualTls(Enum):
    """What a workload asks of its peers."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


@dataclass(frozen=True, slots=True)
class PeerAuthentication:
    """Whether plaintext is taken, by mesh (root namespace, no selector), namespace, workload and port."""

    kind: ClassVar[str] = "PeerAuthentication"
    metadata: Metadata
    selector: Labels | None = None
    """None: all of the namespace. An empty selector is the same."""
    mtls: MutualTls = MutualTls.UNSET
    port_level_mtls: Mapping[int, MutualTls] = field(default_factory=dict)
    """By the ports of the workload, not of a service."""


class Action(Enum):
    """What a match of an AuthorizationPolicy means."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"


@dataclass(frozen=True, slots=True)
class Source:
    """Who calls; all fields that are given must hold. A field holds if any of its values matches."""

    principals: Texts = ()
    not_principals: Texts = ()
    request_principals: Texts = ()
    not_request_principals: Texts = ()
    namespaces: Texts = ()
    not_namespaces: Texts = ()
    service_accounts: Texts = ()
    """`namespace/name`, or a name of the policy's own namespace."""
    not_service_accounts: Texts = ()
    ip_blocks: Blocks = ()
    not_ip_blocks: Blocks = ()
    remote_ip_blocks: Blocks = ()
    not_remote_ip_blocks: Blocks = ()
    trust_domains: Texts = ()
    not_trust_domains: Texts = ()
    place: Place = field(default=NO_PLACE, compare=False)

    @property
    def layer_7(self) -> Texts:
        """The fields in use that only layer 7 knows, by their names here (hbone-controlplane 4.7)."""
        return _given(self, _LAYER_7_SOURCE)


@dataclass(frozen=True, slots=True)
class Operation:
    """What is called; as with `Source`."""

    hosts: Texts = ()
    not_hosts: Texts = ()
    ports: tuple[int, ...] = ()
    not_ports: tuple[int, ...] = ()
    methods: Texts = ()
    not_methods: Texts = ()
    paths: Texts = ()
    not_paths: Texts = ()
    place: Place = field(default=NO_PLACE, compare=False)

    @property
    def layer_7(self) -> Texts:
        """The fields in use that only layer 7 knows, by their names here."""
        return _given(self, _LAYER_7_OPERATION)


@dataclass(frozen=True, slots=True)
class Condition:
    """A further condition: an attribute such as `source.ip` or `request.headers[x-user]`."""

    key: str
    values: Texts = ()
    not_values: Texts = ()
    place: Place = field(default=NO_PLACE, compare=False)

    @property
    def is_layer_7(self) -> bool:
        """Whether layer 4 cannot judge it."""
        return self.key not in LAYER_4_CONDITIONS


@dataclass(frozen=True, slots=True)
class Rule:
    """Matches if any source, any operation and all conditions do; what is not given matches always."""

    from_: tuple[Source, ...] = ()
    to: tuple[Operation, ...] = ()
    when: tuple[Condition, ...] = ()
    place: Place = field(default=NO_PLACE, compare=False)

    @property
    def is_layer_7(self) -> bool:
        """Whether any part of it is for layer 7 only."""
        return (
            any(source.layer_7 for source in self.from_)
            or any(operation.layer_7 for operation in self.to)
            or any(condition.is_layer_7 for condition in self.when)
        )


@dataclass(frozen=True, slots=True)
class AuthorizationPolicy:
    """Who may call what. Without rules it matches nothing: an ALLOW then denies all."""

    kind: ClassVar[str] = "AuthorizationPolicy"
    metadata: Metadata
    selector: Labels | None = None
    """Of workloads; None: all of the namespace. An empty one selects all as well, as a policy of each workload."""
    target_refs: tuple[TargetReference, ...] = ()
    """Where given, the policy is for waypoints and gateways only."""
    action: Action = Action.ALLOW
    provider: str = ""
    """Who decides, for CUSTOM."""
    rules: tuple[Rule, ...] = ()

    @property
    def is_dry_run(self) -> bool:
        """Whether it is only to be logged."""
        return self.metadata.annotations.get("istio.io/dry-run", "").lower() in ("true", "1", "t")


class TokenHeader(NamedTuple):
    """A header that brings a token, behind a prefix such as `Bearer `."""

    name: str
    prefix: str = ""


class ClaimHeader(NamedTuple):
    """A claim that is told to the application in a header."""

    header: str
    claim: str


@dataclass(frozen=True, slots=True)
class JwtRule:
    """An issuer whose tokens are accepted."""

    issuer: str
    audiences: Texts = ()
    jwks_uri: str = ""
    jwks: str = ""
    """The key set itself, JSON."""
    from_headers: tuple[TokenHeader, ...] = ()
    from_params: Texts = ()
    from_cookies: Texts = ()
    output_payload_to_header: str = ""
    output_claim_to_headers: tuple[ClaimHeader, ...] = ()
    forward_original_token: bool = False
    timeout: float | None = None
    """Seconds for fetching `jwks_uri`."""
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class RequestAuthentication:
    """Which tokens are accepted in requests; a request without any passes."""

    kind: ClassVar[str] = "RequestAuthentication"
    metadata: Metadata
    selector: Labels | None = None
    target_refs: tuple[TargetReference, ...] = ()
    jwt_rules: tuple[JwtRule, ...] = ()


LAYER_4_CONDITIONS = frozenset(
    {"source.ip", "source.namespace", "source.principal", "destination.ip", "destination.port"}
)
"""Keys of conditions that a connection can be judged by."""

# ztunnel's matches have no trust domain of their own either.
_LAYER_7_SOURCE = tuple(
    f"{negation}{name}"
    for name in ("request_principals", "remote_ip_blocks", "trust_domains")
    for negation in ("", "not_")
)
_LAYER_7_OPERATION = tuple(f"{negation}{name}" for name in ("hosts", "methods", "paths") for negation in ("", "not_"))


def _given(part: Source | Operation, names: Texts) -> Texts:
    return tuple(name for name in names if getattr(part, name))
