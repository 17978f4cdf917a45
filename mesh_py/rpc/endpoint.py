"""Where a control plane is, as XDS_ADDRESS and CA_ADDRESS say it, and how to call there (hbone-controlplane 2.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hbone_py.address import format_address, is_loopback_host
from mesh_py.rpc.errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh_py.rpc.bearer import BearerToken
    from mesh_py.rpc.roots import Roots

_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; `is_plaintext` only where nobody but this machine can listen in."""

    host: str
    port: int
    is_plaintext: bool = False

    @classmethod
    def parse(cls, text: str) -> Address:
        """`host:port`, `https://host:port`, or `http://` with a loopback host. Without a scheme it is https.

        Raises:
            EndpointError: it is none of these.
        """
        text = text.strip()
        try:
            url = urlsplit(text if "://" in text else f"https://{text}")
            host, port = url.hostname, url.port
        except ValueError as error:
            raise EndpointError(f"is not host:port ({error})") from error
        if url.scheme not in _DEFAULT_PORTS:
            raise EndpointError(f"has the scheme {url.scheme}: https:// is meant, or no scheme at all")
        if not host or port == 0 or url.username is not None or url.path.strip("/") or url.query or url.fragment:
            raise EndpointError("is not host:port, such as istiod.istio-system.svc:15012")
        is_plaintext = url.scheme == "http"
        if is_plaintext and not is_loopback_host(host):
            raise EndpointError("would send the token in the clear: http:// is for loopback addresses, use https://")
        return cls(host, port or _DEFAULT_PORTS[url.scheme], is_plaintext)

    @property
    def authority(self) -> str:
        """As HTTP/2 names it, and as logs show it."""
        return format_address(self.host, self.port)

    def __str__(self) -> str:
        return self.authority


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A control plane, and everything a call there needs. Values only: files are read at each dial and call."""

    address: Address
    roots: Roots
    alternative_host: str = ""
    """A name the server's certificate may carry instead of the address's host (`ALT_XDS_HOSTNAME`)."""
    token: BearerToken | None = None
    cluster_id: str = ""
    """Told beside the token, and only with it (`CLUSTER_ID`)."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """More metadata for every call; names in lower case (`header_settings`)."""

    @property
    def accepted_names(self) -> tuple[str, ...]:
        """Whom the server may prove to be: one of these is enough."""
        return tuple(name for name in (self.address.host, self.alternative_host) if name)

    def metadata(self) -> dict[str, str]:
        """What to send with a call that begins now; the token is read anew.

        Raises:
            TokenError: the token's file cannot be read or is empty.
        """
        fresh = dict(self.headers)
        if self.token is not None:
            fresh["authorization"] = f"Bearer {self.token.read()}"
            if self.cluster_id:
                fresh["clusterid"] = self.cluster_id
        return fresh


def header_settings(prefix: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The headers that variables such as `XDS_HEADER_<name>` ask for, names in lower case; an empty one asks nothing.

    Raises:
        EndpointError: a name or value cannot be sent in a header; begins with the variable's name.
    """
    asked = ((name, value) for name, value in settings.items() if name.startswith(prefix) and value.strip())
    return dict(_header(name, name.removeprefix(prefix).lower(), value) for name, value in asked)


def _header(variable: str, name: str, value: str) -> tuple[str, str]:
    if not name or not set(name) <= _NAME_CHARACTERS or name.endswith("-bin"):
        raise EndpointError(f"{variable}: {name!r} is no name for a header: letters, digits, '-', '_' and '.'")
    if name in _TAKEN or name.startswith("grpc-"):
        raise EndpointError(f"{variable}: the header {name!r} belongs to gRPC itself")
    if not all(" " <= character <= "~" for character in value):
        raise EndpointError(f"{variable}: the value holds what a header cannot carry: printable ASCII only")
    return name, value.strip()


_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_TAKEN = frozenset({"te", "content-type", "user-agent"})
