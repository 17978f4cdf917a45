"""Whether a certificate is that of the server that was meant (RFC 9525): by its SANs, never by its CN [pure]."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509

from hbone_py.errors import PeerIdentityError

if TYPE_CHECKING:
    from collections.abc import Iterable


def verify_server(leaf: x509.Certificate, accepted: Iterable[str]) -> None:
    """One of `accepted`, host names, IP addresses or URIs, must be among the certificate's names.

    Raises:
        PeerIdentityError: none is.
    """
    accepted = tuple(accepted)
    dns, addresses, uris = _names(leaf)
    if not any(wanted in uris or _is_named(wanted, dns, addresses) for wanted in accepted):
        shown = ", ".join([*dns, *map(str, addresses), *uris]) or "no DNS name and no address"
        raise PeerIdentityError(f"the server's certificate is not for {' or '.join(accepted)}: it names {shown}")


def sni(host: str) -> str:
    """What to put into SNI for `host`: an address is never sent (RFC 6066 3)."""
    return "" if _as_address(host) is not None else host.rstrip(".")


def matches(pattern: str, name: str) -> bool:
    """Whether a DNS SAN covers a name; `*` stands for one whole label, the first (RFC 9525 6.3)."""
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == name
    first, dot, rest = name.partition(".")
    return bool(first) and bool(dot) and rest.count(".") >= 1 and pattern[2:] == rest


def _is_named(wanted: str, dns: list[str], addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> bool:
    address = _as_address(wanted)
    if address is not None:
        return address in addresses
    return any(matches(pattern, wanted) for pattern in dns)


def _names(
    leaf: x509.Certificate,
) -> tuple[list[str], list[ipaddress.IPv4Address | ipaddress.IPv6Address], list[str]]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):  # none, or one that cannot be read
        return [], [], []
    addresses = names.get_values_for_type(x509.IPAddress)
    whole = [one for one in addresses if isinstance(one, ipaddress.IPv4Address | ipaddress.IPv6Address)]
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return names.get_values_for_type(x509.DNSName), whole, uris


def _as_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
