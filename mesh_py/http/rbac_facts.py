"""What AuthorizationPolicies may look at in a request, and how their texts are compared [pure]."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mesh_py.http.paths import without_query
from mesh_py.http.regex import compile_regex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hbone_py.identity import SpiffeId
    from mesh_py.http.messages import HttpRequest
    from mesh_py.model.address import IpAddress


_NO_CLAIMS: Mapping[str, Any] = {}


class RequestFacts:
    """One request, and the connection it came by. Its path is normalised already (`paths`)."""

    __slots__ = (
        "claims",
        "destination_ip",
        "destination_port",
        "identity",
        "remote_ip",
        "request",
        "sni",
        "source_ip",
    )

    def __init__(
        self,
        request: HttpRequest,
        source_ip: IpAddress,
        destination_ip: IpAddress,
        destination_port: int,
        identity: SpiffeId | None = None,
        remote_ip: IpAddress | None = None,
        claims: Mapping[str, Any] = _NO_CLAIMS,
        sni: str = "",
    ) -> None:
        self.request = request
        self.source_ip = source_ip
        """The peer of the connection; at a waypoint the tunnel's client."""
        self.destination_ip = destination_ip
        self.destination_port = destination_port
        """The port the client asked for: the service's at a waypoint, the pod's at a sidecar."""
        self.identity = identity
        """Who the client proved to be; at a waypoint as the tunnel proved it."""
        self.remote_ip = remote_ip
        """The original client by `x-forwarded-for` and trusted hops; None: the same as `source_ip`."""
        self.claims = claims
        """Of a token whose signature was checked; empty without one."""
        self.sni = sni

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
