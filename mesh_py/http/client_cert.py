"""A client's certificate as `x-forwarded-client-cert` tells of it (`forwarding`) [pure]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientCert:
    """Who is at both ends of a mutual TLS connection."""

    uri: str = ""
    """The client's SPIFFE id."""
    by: str = ""
    """Ours, which the client saw."""
    hash: str = ""
    """SHA-256 of the client's certificate, hexadecimal."""
    subject: str | None = None
    """None: not told. Empty is told."""
    dns: tuple[str, ...] = ()

    def element(self) -> str:
        """One element of the header, its keys in Envoy's order."""
        parts = [f"By={_quoted(self.by)}"] if self.by else []
        if self.hash:
            parts.append(f"Hash={self.hash}")
        if self.subject is not None:
            parts.append(f'Subject="{_escaped(self.subject)}"')
        parts.append(f"URI={_quoted(self.uri)}")
        return ";".join([*parts, *(f"DNS={_quoted(name)}" for name in self.dns)])


def _quoted(value: str) -> str:
    """In quotes where a character would end the value."""
    return f'"{_escaped(value)}"' if any(character in value for character in ',;="') else value


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
