"""How roles are told of their control plane: the real ztunnel's names (hbone-controlplane 2.1, 10.1) [pure].

The settings are quick to load, for help pages; `endpoint` loads what it makes. Headers are a setting per header, which
no table can list: they come straight from the environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.settings.kinds import TEXT, Kind
from mesh_py.settings.setting import Setting, setting, unset
from mesh_py.settings.source import SettingsError, complaint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh_py.rpc.endpoint import Address, Endpoint
    from mesh_py.settings.source import Values

_ROOTS = "./var/run/secrets/istio/root-cert.pem"
_TOKEN = "./var/run/secrets/tokens/istio-token"


def _hidden(text: str) -> str:
    """A path may be shown, a token may not."""
    return text if text.startswith(("/", "./", "../")) else "(not shown)"


# fmt: off

AUTH_TOKEN = unset(
    "AUTH_TOKEN", Kind(str, "FILE|TOKEN", _hidden), "The bearer token for both; a file is read anew for each call.",
    note=f"{_TOKEN} if it is there",
)


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """The settings of one of the two services: `XDS` and `CA`."""

    prefix: str
    address: Setting[str]
    roots: Setting[str]
    alternative_host: Setting[str]

    @property
    def all(self) -> tuple[Setting[str], ...]:
        """In the order help pages show them."""
        return (self.address, self.roots, self.alternative_host)


XDS = EndpointSettings(
    "XDS",
    setting(
        "XDS_ADDRESS", TEXT, "", "Where discovery is served: host:port; empty for none.", theirs="istiod",
        may_be_empty=True,
    ),
    setting("XDS_ROOT_CA", TEXT, _ROOTS, "Whom to believe there: a file, SYSTEM, or PEM text."),
    setting("ALT_XDS_HOSTNAME", TEXT, "", "A further name its certificate may carry."),
)
CA = EndpointSettings(
    "CA",
    setting(
        "CA_ADDRESS", TEXT, "", "Who signs our certificates: host:port; empty for none.", theirs="istiod",
        may_be_empty=True,
    ),
    setting("CA_ROOT_CA", TEXT, _ROOTS, "Whom to believe there: a file, SYSTEM, or PEM text."),
    setting("ALT_CA_HOSTNAME", TEXT, "", "A further name its certificate may carry."),
)

# fmt: on


def endpoint(which: EndpointSettings, values: Values, environ: Mapping[str, str], cluster_id: str) -> Endpoint | None:
    """Everything a call to that service needs; None where its address is empty.

    Args:
        environ: where `XDS_HEADER_*` and `CA_HEADER_*` are.

    Raises:
        SettingsError: the address or a header cannot be used.
    """
    text = values[which.address]
    if not text.strip():
        return None
    from mesh_py.rpc.bearer import BearerToken
    from mesh_py.rpc.endpoint import Endpoint, header_settings
    from mesh_py.rpc.errors import EndpointError
    from mesh_py.rpc.roots import Roots

    address = _address(which, values, text)
    token = values[AUTH_TOKEN]
    try:
        headers = header_settings(f"{which.prefix}_HEADER_", environ)
    except EndpointError as error:
        raise SettingsError(str(error)) from None
    return Endpoint(
        address,
        Roots(values[which.roots], which.roots.name),
        values[which.alternative_host],
        BearerToken.default() if token is None else BearerToken.of(token),
        cluster_id,
        headers,
    )


def _address(which: EndpointSettings, values: Values, text: str) -> Address:
    from mesh_py.rpc.endpoint import Address
    from mesh_py.rpc.errors import EndpointError

    try:
        return Address.parse(text)
    except EndpointError as error:
        raise SettingsError(f"{values.origin(which.address)}: {complaint(text, str(error))}") from None
