"""How every proxy is told to fetch the keys of tokens (`jwksUri`) [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.settings.kinds import PATH, POSITIVE_TIME
from mesh_py.settings.setting import setting, unset

if TYPE_CHECKING:
    from pathlib import Path

    from mesh_py.settings.source import Values

JWKS_REFRESH = setting(
    "PILOT_JWT_PUB_KEY_REFRESH_INTERVAL",
    POSITIVE_TIME,
    1200.0,
    "Keys of a jwksUri are fetched anew so often, give or take a tenth.",
    flag="--jwks-refresh",
)
JWKS_ROOT_CA = unset(
    "JWKS_ROOT_CA", PATH, "Whom to believe where keys are fetched: a file (PEM).", note="the system's roots"
)
ALL = (JWKS_REFRESH, JWKS_ROOT_CA)


@dataclass(frozen=True, slots=True)
class KeySetSettings:
    """Times are seconds."""

    refresh: float = 1200.0
    root_ca: Path | None = None
    """None: the system's."""
    timeout: float = 5.0
    """For one fetch, where the rule says nothing (Istio's default)."""
    least: float = 10.0
    """Between two fetches of one set, whatever asks for it."""


def key_sets(values: Values) -> KeySetSettings:
    """As told."""
    return KeySetSettings(values[JWKS_REFRESH], values[JWKS_ROOT_CA])
