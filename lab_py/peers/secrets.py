"""Proxies that write their TLS secrets, each to a file of its own that nobody else reads; and what they wrote."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab_py.peers.base import Peer
    from lab_py.world import WorldFiles


def with_secrets(peer: Peer, files: WorldFiles) -> Peer:
    """A proxy, told to write its secrets; its file is there before it, and is its own. Others as they are.

    Raises:
        OSError: the file cannot be made.
    """
    if not peer.is_proxy:
        return peer
    files.secrets.mkdir(mode=0o711, exist_ok=True)
    file = files.secrets / peer.name
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if peer.uid is not None:
        os.chown(file, peer.uid, peer.uid)
    return replace(peer, environment={**peer.environment, "KEY_LOG": "true", "SSLKEYLOGFILE": str(file)})


def read_secrets(files: WorldFiles) -> list[bytes]:
    """What each process has written, whole lines only. Raises OSError."""
    if not files.secrets.exists():
        return []
    texts = [file.read_bytes() for file in sorted(files.secrets.iterdir())]
    return [text[: text.rfind(b"\n") + 1] for text in texts]
