"""Proxies that write their TLS secrets."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from lab_py.peers.base import Peer
from lab_py.peers.secrets import read_secrets, with_secrets
from lab_py.world import WorldFiles

if TYPE_CHECKING:
    from pathlib import Path

PROXY = Peer("zt", "zt", ["true"], (1, "/"), {"NODE_NAME": "a"}, uid=os.getuid(), is_proxy=True)


def test_a_proxy_has_a_file_of_its_own(tmp_path: Path) -> None:
    files = WorldFiles(tmp_path)
    told = with_secrets(PROXY, files).environment
    assert told == {"NODE_NAME": "a", "KEY_LOG": "true", "SSLKEYLOGFILE": str(files.secrets / "zt")}
    assert stat.S_IMODE((files.secrets / "zt").stat().st_mode) == 0o600


def test_an_application_has_no_secrets_to_tell(tmp_path: Path) -> None:
    application = Peer("app", "pod", ["true"], (1, "/"))
    assert with_secrets(application, WorldFiles(tmp_path)) is application


def test_only_whole_lines_are_read(tmp_path: Path) -> None:
    files = WorldFiles(tmp_path)
    assert read_secrets(files) == []
    with_secrets(PROXY, files)
    (files.secrets / "zt").write_bytes(b"A 1 2\nB 3")
    assert read_secrets(files) == [b"A 1 2\n"]
