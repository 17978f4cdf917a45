"""Secrets for Wireshark: complete, announced, and for our eyes alone."""

from __future__ import annotations

import logging
import stat
from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import TlsConfigError
from hbone_py.tls.context import TlsSettings, client_context
from tests.hbone_py.tls.parties import EngineType, client, connected, server

if TYPE_CHECKING:
    from pathlib import Path

    from hbone_py.tls.credentials import Credentials

TLS13_LABELS = {
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "EXPORTER_SECRET",
}


def labels(path: Path) -> list[str]:
    return [line.split(" ")[0] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("role", ["client", "server"])
def test_the_secrets_of_a_connection(
    engine: EngineType, client_credentials: Credentials, server_credentials: Credentials, tmp_path: Path, role, caplog
):
    path = tmp_path / "keys.log"
    settings = TlsSettings(keylog=path)
    with caplog.at_level(logging.WARNING):
        one = client(client_credentials, engine, settings if role == "client" else None)
        other = server(server_credentials, engine, settings if role == "server" else None)
    assert f"TLS secrets are written to {path}: whoever reads it can decrypt the traffic" in caplog.text
    connected(one, other)
    assert set(labels(path)) == TLS13_LABELS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_contexts_share_the_file(client_credentials: Credentials, server_credentials: Credentials, tmp_path: Path):
    settings = TlsSettings(keylog=tmp_path / "keys.log")
    for _ in range(2):
        connected(client(client_credentials, settings=settings), server(server_credentials, settings=settings))
    assert labels(tmp_path / "keys.log").count("CLIENT_TRAFFIC_SECRET_0") == 4


def test_a_file_that_others_could_read_is_closed_to_them_first(client_credentials: Credentials, tmp_path: Path):
    path = tmp_path / "keys.log"
    path.write_text("# from an earlier run\n")
    path.chmod(0o644)
    client_context(client_credentials, TlsSettings(keylog=path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "# from an earlier run\n"


def test_a_place_that_cannot_be_written_is_named(client_credentials: Credentials, tmp_path: Path):
    path = tmp_path / "missing" / "keys.log"
    with pytest.raises(TlsConfigError, match=f"^{path}: No such file or directory$"):
        client_context(client_credentials, TlsSettings(keylog=path))


def test_without_the_setting_nothing_is_written(
    client_credentials: Credentials, server_credentials: Credentials, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    connected(client(client_credentials), server(server_credentials))
    assert list(tmp_path.iterdir()) == []
