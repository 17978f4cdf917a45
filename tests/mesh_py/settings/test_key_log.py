"""TLS secrets are written for who asks, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_py.settings.key_log import key_log
from mesh_py.settings.source import Given, SettingsError, Values

NAMED = {"SSLKEYLOGFILE": "keys"}


@pytest.mark.parametrize(
    ("asked", "environ", "file"),
    [("true", NAMED, Path("keys")), ("false", NAMED, None), ("false", {}, None)],
    ids=["asked for", "named, but not asked for", "neither"],
)
def test_the_file(asked: str, environ: dict[str, str], file: Path | None) -> None:
    assert key_log(values(asked), environ) == file


def test_a_file_must_be_named() -> None:
    with pytest.raises(SettingsError, match="SSLKEYLOGFILE must name the file"):
        key_log(values("true"), {})


def values(asked: str) -> Values:
    return Values([{"KEY_LOG": Given(asked, "KEY_LOG")}])
