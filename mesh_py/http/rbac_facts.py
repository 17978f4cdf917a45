"""What AuthorizationPolicies may look at in a request, and how their texts are compared [pure]."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesh_py.http.paths import without_query
from mesh_py.http.regex import compile_regex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hbone_py.identity import SpiffeId
    from mesh_py.http.messages import HttpRequest
    from mesh_py.model.address import IpAddress


@dataclass(slots=True)
class RequestFacts:  # not frozen: made for every request, and freezing doubles what that costs
    """One request, and the connection it came by. Its path is normalised already (`paths`)."""

    request: HttpRequest
    source_ip: IpAddress
    """The peer of the connection; at a waypoint the tunnel's client."""
    destination_ip: IpAddress
    destination_port: int
    """The port the client asked for: the service's at a waypoint, the pod's at a sidecar."""
    identity: SpiffeId | None = None
    """Who the client proved to be; at a waypoint as the tunnel proved it."""
    remote_ip: IpAddress | None = None
    """The original client by `x-forwarded-for` and trusted hops; None: the same as `source_ip`."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Of a token whose signature was checked; empty without one."""
    sni: str = ""

    @property
    def principal(self) -> str:
        """`td/ns/x/sa/y`; empty for nobody."""
        return self.identity.principal if self.identity is not None else ""

    @property
    def request_principal(self) -> str:
        """`issuer/subject` of the token; empty without one."""
        issuer, subject = self.claims.get("iss"), self.claims.get("sub")
        return f"{issuer}/{subject}" if issuer and subject else ""

    @property
    def client_ip(self) -> IpAddress:
        """The original client's address."""
        return self.remote_ip if self.remote_ip is not None else self.source_ip

    @property
    def path(self) -> str:
        """Without the query."""
        return without_query(self.request.path)


def any_text(patterns: Iterable[str], *, fold: bool = False) -> Callable[[str], bool]:
    """Whether a text matches any pattern: `*` (anything but nothing), `*suffix`, `prefix*`, or exact.

    `fold`: letters' case does not count.
    """
    said = [pattern.lower() if fold else pattern for pattern in patterns]
    ends = tuple(text[1:] for text in said if text.startswith("*") and text != "*")
    starts = tuple(text[:-1] for text in said if text.endswith("*") and not text.startswith("*"))
    exact = frozenset(text for text in said if not text.startswith("*") and not text.endswith("*"))
    any_at_all = "*" in said

    def holds(text: str) -> bool:
        if fold:
            text = text.lower()
        return text in exact or text.startswith(starts) or text.endswith(ends) or (any_at_all and text != "")

    return holds


def any_path(patterns: Iterable[str]) -> Callable[[str], bool]:
    """As `any_text`, and templates: `{*}` is one segment, `{**}` any number of them."""
    patterns = list(patterns)
    plain = any_text(pattern for pattern in patterns if "{" not in pattern)
    templates = [compile_regex(_template(pattern)) for pattern in patterns if "{" in pattern]
    if not templates:
        return plain
    return lambda path: plain(path) or any(holds(path) for holds in templates)


_WILDCARDS = {"{*}": "[^/]+", "{**}": ".*"}


def _template(pattern: str) -> str:
    parts = re.split(r"(\{\*\*?\})", pattern)
    return "".join(_WILDCARDS.get(part) or _literal(part) for part in parts)


def _literal(text: str) -> str:
    return "".join(character if character.isalnum() else f"\\{character}" for character in text)
