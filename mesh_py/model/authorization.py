"""Authorization policies as the control plane gives them (hbone-controlplane 1.3, 4) [pure].

A policy matches when any of its rules does, a rule when all of its clauses do, a clause when any of its
matches does, a match when all of its fields do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mesh_py.model.address import Cidr


class Scope(Enum):
    """Which workloads a policy is for: all, those of its namespace, or those that name it."""

    GLOBAL = "Global"
    NAMESPACE = "Namespace"
    WORKLOAD_SELECTOR = "WorkloadSelector"


class Action(Enum):
    """What a match means."""

    ALLOW = "Allow"
    DENY = "Deny"


class MatchKind(Enum):
    """How a string is compared."""

    EXACT = "Exact"
    PREFIX = "Prefix"
    SUFFIX = "Suffix"
    PRESENCE = "Presence"


class StringMatch(NamedTuple):
    """A string matcher; PRESENCE has no value and matches any non-empty string."""

    kind: MatchKind
    value: str = ""

    def matches(self, text: str) -> bool:
        """Whether `text` satisfies the matcher."""
        if self.kind is MatchKind.EXACT:
            return text == self.value
        if self.kind is MatchKind.PREFIX:
            return text.startswith(self.value)
        if self.kind is MatchKind.SUFFIX:
            return text.endswith(self.value)
        return text != ""


class ServiceAccountMatch(NamedTuple):
    """A service account of a namespace, in whatever trust domain."""

    namespace: str
    service_account: str


@dataclass(frozen=True, slots=True)
class Match:
    """Conditions that must all hold. For each kind: any of the positive list (if given), none of `not_`.

    A match without any condition never holds.
    """

    namespaces: tuple[StringMatch, ...] = ()
    not_namespaces: tuple[StringMatch, ...] = ()
    service_accounts: tuple[ServiceAccountMatch, ...] = ()
    not_service_accounts: tuple[ServiceAccountMatch, ...] = ()
    principals: tuple[StringMatch, ...] = ()
    not_principals: tuple[StringMatch, ...] = ()
    source_ips: tuple[Cidr, ...] = ()
    not_source_ips: tuple[Cidr, ...] = ()
    destination_ips: tuple[Cidr, ...] = ()
    not_destination_ips: tuple[Cidr, ...] = ()
    destination_ports: tuple[int, ...] = ()
    not_destination_ports: tuple[int, ...] = ()


Clause = tuple[Match, ...]
"""Any of the matches; without matches it holds."""

Rule = tuple[Clause, ...]
"""All of the clauses; without clauses it holds."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One authorization policy. Without rules it never matches: an ALLOW then denies everything."""

    name: str
    namespace: str
    scope: Scope
    action: Action
    rules: tuple[Rule, ...] = ()
    dry_run: bool = False
    """Log what it would do, and do nothing."""

    @property
    def key(self) -> str:
        """`namespace/name`: how workloads name it."""
        return f"{self.namespace}/{self.name}"
