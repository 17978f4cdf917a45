"""OpenSSL's reasons in words that name the alert and fit on a line [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from OpenSSL import SSL, crypto

CUT_OFF: Final = "the connection ended without close_notify"


def describe(reasons: list[str]) -> str:
    """OpenSSL's reasons in one line; an alert by its name in RFC 8446."""
    return "; ".join(_named_alert(reason) for reason in reasons) or "no reason given"


def reason_texts(error: SSL.Error | crypto.Error) -> list[str]:
    """What pyOpenSSL found in OpenSSL's queue of errors."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return [str(entry[2]) for entry in queue]


def _named_alert(reason: str) -> str:
    # OpenSSL writes "tlsv13 alert certificate required", "ssl/tls alert bad certificate", ...
    _, found, alert = reason.partition(" alert ")
    return f"the peer sent alert {alert.replace(' ', '_')}" if found else reason
