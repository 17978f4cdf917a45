"""Certificates as `/config_dump` shows them, in the shape istioctl reads (hbone-controlplane 7.3) [pure]."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable

    from cryptography import x509

    from hbone_py.tls.credentials import Credentials

LINE = 60
"""Characters in a line of the PEM text; istioctl reads any, this is what ztunnel writes."""


@dataclass(frozen=True, slots=True)
class IdentityState:
    """One identity, and what there is of its certificate."""

    identity: str
    credentials: Credentials | None = None
    problem: str | None = None
    """Why there is none that can be used; None with no credentials: it is being fetched."""


def dump_certificates(states: Iterable[IdentityState]) -> list[dict[str, Any]]:
    """A list in the order given."""
    return [_dump(state) for state in states]


def _dump(state: IdentityState) -> dict[str, Any]:
    held = state.credentials
    return {
        "identity": state.identity,
        "state": _state(state),
        "certChain": [_certificate(one) for one in held.chain if one not in held.roots] if held else [],
        "rootCerts": [_certificate(one) for one in held.roots] if held else [],
    }


def _state(state: IdentityState) -> str:
    if state.problem is not None:
        return f"Unavailable: {state.problem}"
    return "Available" if state.credentials else "Initializing"


def _certificate(certificate: x509.Certificate) -> dict[str, str]:
    return {
        "pem": base64.b64encode(_pem(certificate).encode()).decode(),
        "serialNumber": str(certificate.serial_number),
        "validFrom": _rfc3339(certificate.not_valid_before_utc),
        "expirationTime": _rfc3339(certificate.not_valid_after_utc),
    }


def _pem(certificate: x509.Certificate) -> str:
    text = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
    lines = [text[at : at + LINE] for at in range(0, len(text), LINE)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def _rfc3339(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
