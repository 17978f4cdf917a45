"""Where the mesh is described: a file or a text, read at the start and, a file, followed while we run."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mesh_py.discovery.local_file import LocalConfig, read_local_config
from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.state import Told
from mesh_py.process.file_stamp import stamp_of
from mesh_py.process.listening import StartError
from mesh_py.process.reason import reason_of
from mesh_py.xds.time_slices import without_collection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mesh_py.discovery.state import MeshState

    Change = Callable[[LocalConfig], LocalConfig]
    """What becomes of a description that was read."""


class Read(Protocol):
    """Reads the text of a file. Raises ConfigError."""

    def __call__(self, text: str, file: str, *, trust_domain: str) -> LocalConfig:
        """See `read_local_config`."""


log = logging.getLogger("state")

LOOK_EVERY = 0.25
"""Seconds between looks at the file."""


@dataclass(frozen=True, slots=True)
class MeshPlace:
    """Where to look for it."""

    path: Path | None
    """A file (`LOCAL_XDS_PATH`); ..."""
    text: str | None
    """... or else this text (`LOCAL_XDS`); with neither, the mesh is empty."""
    trust_domain: str
    """Of workloads that name none."""
    is_followed: bool = True
    """Whether edits of the file take effect."""
    read: Read = read_local_config
    """How its text is read: a role may know further keys."""


@dataclass(slots=True)
class MeshSource:
    """The local description of the mesh. `config` is the last good one."""

    config: LocalConfig
    _path: Path | None
    _place: MeshPlace
    _stamp: object = None
    _change: Change | None = None
    _told: Told = field(default_factory=Told)

    @staticmethod
    def load(place: MeshPlace, change: Change | None = None) -> MeshSource:
        """Read it. Raises StartError when it cannot be read, ConfigError when it is wrong.

        Args:
            place: where.
            change: what becomes of every version that was read; None: nothing.
        """
        path = place.path
        if path is None:
            config = place.read(place.text or "{}", "LOCAL_XDS", trust_domain=place.trust_domain)
            source = MeshSource(config, None, place, None, change)
        else:
            stamp = stamp_of(path)
            config = place.read(_read(path), str(path), trust_domain=place.trust_domain)
            followed = path if place.is_followed else None
            source = MeshSource(config, followed, place, stamp, change)
        source._take(config)
        for warning in config.warnings:
            log.warning("%s", warning)
        return source

    def apply(self, state: MeshState) -> None:
        """Bring what the description says into `state`, touching only what differs from its last version.

        What others have brought there, such as a control plane, stays; of one name the last word counts.
        """
        config = self.config
        with without_collection(len(config.workloads) + len(config.services) + len(config.policies)):
            changed = state.replace(config.workloads, config.services, config.policies, before=self._told)
        self._told = Told(
            frozenset(workload.uid for workload in config.workloads),
            frozenset(service.key for service in config.services),
            frozenset(policy.key for policy in config.policies),
        )
        log.info(
            "mesh: %d workloads, %d services, %d policies changed",
            changed.workloads,
            changed.services,
            changed.policies,
        )

    async def follow(self, state: MeshState) -> None:
        """Take over every edit of the file; a broken edit is reported, and the last good state stays.

        An edit counts once two looks have found it the same: a file that is being written is not read half.
        """
        seen = self._stamp
        while self._path is not None:
            await asyncio.sleep(LOOK_EVERY)
            stamp = stamp_of(self._path)
            if stamp is not None and stamp == seen != self._stamp:
                self._stamp = stamp
                self._reload(self._path, state)
            seen = stamp

    def _reload(self, path: Path, state: MeshState) -> None:
        try:
            place = self._place
            self._take(place.read(_read(path), str(path), trust_domain=place.trust_domain))
            self.apply(state)
        except (StartError, ConfigError) as error:
            for line in str(error).splitlines():
                log.error("%s", line)
            log.error("%s: the edit is ignored, the last good state stays", path)
        except Exception:  # the next edit must find somebody who follows
            log.exception("! %s: unexpected error", path)

    def _take(self, config: LocalConfig) -> None:
        self.config = config if self._change is None else self._change(config)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = reason_of(error)
        raise StartError(f"{path}: {reason}: check the path and its rights (LOCAL_XDS_PATH)") from error
    except UnicodeDecodeError as error:
        raise StartError(f"{path}: not UTF-8 text at byte {error.start}: save it as UTF-8") from error
