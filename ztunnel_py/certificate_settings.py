"""Which certificates a proxy uses, by the order that README and docs/configuration.md tell [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ztunnel_py.setting_values import Mode
from ztunnel_py.settings_source import SettingsError
from ztunnel_py.settings_table import (
    CA_ADDRESS,
    FAKE_CA,
    FAKE_CA_DIR,
    SECRET_TTL,
    WORKLOAD_CERT_CHAIN,
    WORKLOAD_CERT_DIR,
    WORKLOAD_KEY,
    WORKLOAD_ROOT_CERT,
    Setting,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ztunnel_py.settings_source import Values


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """One identity's files; re-read when they change."""

    chain: Path
    key: Path
    roots: Path


@dataclass(frozen=True, slots=True)
class CertificateFolder:
    """A folder per identity (`mesh_py.identity.layout`)."""

    folder: Path


@dataclass(frozen=True, slots=True)
class FakeCa:
    """An authority of our own in a folder that all processes of one user share (`mesh_py.identity.local_ca`)."""

    folder: Path
    lifetime: float
    """Of the certificates it signs, seconds."""


CertificateSettings = CertificateFiles | CertificateFolder | FakeCa

_FILES: tuple[Setting[Any], ...] = (WORKLOAD_CERT_CHAIN, WORKLOAD_KEY, WORKLOAD_ROOT_CERT)
_ADVICE = (
    "no certificates: set WORKLOAD_CERT_DIR (node mode), or WORKLOAD_CERT_CHAIN, WORKLOAD_KEY and WORKLOAD_ROOT_CERT "
    "(dedicated mode), or FAKE_CA=true to try things out; 'python certs/make_certs.py' makes files"
)


def choose_certificates(
    values: Values, mode: Mode, fake_ca_folder: Path
) -> tuple[CertificateSettings, tuple[str, ...]]:
    """What to use, and warnings about it. Raises SettingsError."""
    chosen = _files(values, mode) or _folder(values)
    if ca := values[CA_ADDRESS]:
        if chosen is None:
            where = values.origin(CA_ADDRESS)
            raise SettingsError(f"{where}: asking the CA at {ca!r} is not built yet: give certificate files instead")
        return chosen, (f"{values.origin(CA_ADDRESS)} is not used: asking a CA is not built yet, the files serve",)
    if chosen is not None:
        return chosen, ()
    if values[FAKE_CA]:
        folder = values[FAKE_CA_DIR] or fake_ca_folder
        warning = f"FAKE_CA: certificates are signed by an authority of this user's own, in {folder}"
        return FakeCa(folder, values[SECRET_TTL]), (warning,)
    raise SettingsError(_ADVICE)


def _files(values: Values, mode: Mode) -> CertificateFiles | None:
    chain, key, roots = values[WORKLOAD_CERT_CHAIN], values[WORKLOAD_KEY], values[WORKLOAD_ROOT_CERT]
    given = [setting for setting in _FILES if values.is_given(setting)]
    if not given:
        return None
    if chain is None or key is None or roots is None:
        missing = ", ".join(setting.name for setting in _FILES if setting not in given)
        raise SettingsError(f"{values.origin(given[0])}: {missing} must be set with it")
    if mode is not Mode.DEDICATED:
        raise SettingsError(
            f"{values.origin(given[0])}: one certificate serves one workload: set PROXY_MODE=dedicated, "
            "or WORKLOAD_CERT_DIR for those of a node"
        )
    return CertificateFiles(chain, key, roots)


def _folder(values: Values) -> CertificateFolder | None:
    folder = values[WORKLOAD_CERT_DIR]
    return CertificateFolder(folder) if folder is not None else None
