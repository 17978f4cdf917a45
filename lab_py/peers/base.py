"""A process of the lab as a value: what is run, where, as whom, and how one knows that it is ready [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Peer:
    """One process."""

    name: str
    """What it is called in logs and in `status`; a file name."""
    namespace: str
    command: Sequence[str]
    ready: tuple[int, str] | Path
    """Port and path that answer 200 on 127.0.0.1 of its namespace once it serves; or a socket that is there then."""
    environment: Mapping[str, str] = field(default_factory=dict)
    uid: int | None = None
    """Whom it runs as, uid and gid; None: as we do."""
    enters_by: Sequence[str] = ()
    """A command that enters the namespace and then becomes the process; none: it is started in there."""
    is_proxy: bool = False
    """One of our own, which can write its TLS secrets."""
