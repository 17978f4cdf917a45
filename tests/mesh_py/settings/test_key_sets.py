"""How key sets are fetched, as told."""

from __future__ import annotations

from pathlib import Path

from mesh_py.settings.key_sets import KeySetSettings, key_sets
from mesh_py.settings.source import Given, Values


def test_what_is_told() -> None:
    told = {"PILOT_JWT_PUB_KEY_REFRESH_INTERVAL": "5m", "JWKS_ROOT_CA": "/etc/roots.pem"}
    found = key_sets(Values([{name: Given(text, name) for name, text in told.items()}]))
    assert found == KeySetSettings(300.0, Path("/etc/roots.pem"))


def test_what_is_not() -> None:
    assert key_sets(Values([])) == KeySetSettings()
