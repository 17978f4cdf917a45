"""The folder of manifests as the mesh that is served, and followed while we run.

Every file counts in its last good version: a broken edit is reported with file, line and column, and changes nothing.
A change counts once two looks at the folder agree, so that half-written files and half-done checkouts are not read;
subscribers hear of it once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from istiod_py import folder
from istiod_py.folder import FolderError, Limits, Look
from istiod_py.last_good import LastGood, changed
from mesh_py.discovery.problems import ConfigError, Problem
from mesh_py.manifests.addresses import Addresses, AddressRanges, RangeFullError
from mesh_py.manifests.objects import Manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from istiod_py.folder import Stamp
    from istiod_py.last_good import SourceFile

    Subscriber = Callable[[Manifests], None]

log = logging.getLogger("registry")


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Where the manifests are and how they are followed."""

    folder: Path
    trust_domain: str = "cluster.local"
    """Of workloads in LocalConfig files that name none."""
    ranges: AddressRanges = field(default_factory=AddressRanges)
    limits: Limits = field(default_factory=Limits)
    look_every: float = 0.25
    """Seconds between looks; longer where a look is slow, so that looking takes a twentieth of the time at most."""
    settle_within: float = 10.0
    """Seconds after which files that keep still count, though others are written again and again."""


class Registry:
    """What is served now, and who wants to know of changes."""

    def __init__(self, settings: RegistrySettings) -> None:
        self.manifests = Manifests()
        """Completed: with deployments' pods, and with addresses."""
        self.version = 0
        """Counts the changes."""
        self._settings = settings
        self._files = LastGood(settings.trust_domain)
        self._addresses = Addresses(settings.ranges)
        self._read: Mapping[str, Stamp] = {}
        self._seen: Look = Look({})
        self._restless_since: float | None = None
        self._wrong: tuple[Problem, ...] = ()
        self._gone: tuple[Problem, ...] = ()
        """Why the folder cannot be looked at, if it cannot."""
        self._cost = 0.0
        """Seconds of the last look, without what was read after it."""
        self._subscribers: list[Subscriber] = []

    @staticmethod
    def load(settings: RegistrySettings) -> Registry:
        """Read the whole folder. What is broken at the start has no last good version, so nothing is served then.

        Raises:
            FolderError: it cannot be looked at.
            ConfigError: everything that is wrong with it.
        """
        registry = Registry(settings)
        seen = folder.look(settings.folder, settings.limits)
        problems = [*seen.problems, *registry._take(seen, set(seen.files))]
        problems += registry._complete()
        if problems:
            raise ConfigError(problems)
        registry._seen = seen
        registry._warn(registry.files)
        return registry

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the folder now; empty if everything in it is served."""
        return (*self._gone, *self._wrong)

    @property
    def files(self) -> Mapping[str, SourceFile]:
        """What is served of each file."""
        return self._files.files

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with the manifests after every change, in the loop's thread. Gives how to stop it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def follow(self) -> None:
        """Take over edits until cancelled."""
        while True:
            try:
                is_new = await asyncio.to_thread(self.look)
                if is_new:
                    self._publish()
            except Exception:  # the next edit must find somebody who follows
                log.exception("! %s: unexpected error", self._settings.folder)
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        """Seconds until the next look: soon while something is settling, so that an edit need not wait twice."""
        is_settling = self._restless_since is not None
        return max(self._settings.look_every, (4 if is_settling else 20) * self._cost)

    def look(self, now: float | None = None) -> bool:
        """Look at the folder once, and take over what has settled. Whether other manifests are served now.

        Args:
            now: seconds of a monotonic clock; the real one if None.
        """
        now = time.monotonic() if now is None else now
        started = time.monotonic()
        try:
            seen = folder.look(self._settings.folder, self._settings.limits)
        except FolderError as error:
            return self._keep(error)
        self._cost = time.monotonic() - started
        self._gone = ()
        before, self._seen = self._seen, seen
        return self._settle(before, seen, now)

    def _settle(self, before: Look, seen: Look, now: float) -> bool:
        """Take over what differs from what was read, once it has been the same for two looks."""
        restless = changed(before.files, seen.files)
        different = changed(self._read, seen.files)
        if not different and seen.problems == before.problems:
            self._restless_since = None
            return False
        since = self._restless_since = now if self._restless_since is None else self._restless_since
        if restless and now - since < self._settings.settle_within:
            return False
        settled = different - restless
        self._restless_since = now if restless else None
        faults = self._take(seen, settled)
        _tell(logging.ERROR, [*(one for one in seen.problems if one not in self._wrong), *faults])
        for name in sorted({fault.file for fault in faults}):
            log.error("%s: the edit is ignored, its last good version stays", name)
        self._warn(settled - {fault.file for fault in faults})
        return self._update(seen)

    def _take(self, seen: Look, names: set[str]) -> list[Problem]:
        """Read the named files, or forget those that are gone. Gives their faults."""
        faults: list[Problem] = []
        # Others look at `files` from another thread: what they see never changes.
        files, stamps = self._files.copy(), dict(self._read)
        for name in sorted(names):
            stamp = seen.files.get(name)
            if stamp is None:
                files.forget(name)
                stamps.pop(name, None)
            else:
                faults += files.take(name, folder.read(name, self._settings.limits))
                stamps[name] = stamp
        self._files, self._read = files, stamps
        return faults

    def _warn(self, names: Iterable[str]) -> None:
        """Tell what is allowed in files that were just read and is probably not meant."""
        for name in sorted(names):
            if name in self.files:
                _tell(logging.WARNING, self.files[name].served.warnings)

    def _update(self, seen: Look) -> bool:
        """Serve what the files say now. Whether that differs from before."""
        before = self.manifests
        own = self._complete()
        _tell(logging.ERROR, [one for one in own if one not in self._wrong])
        self._wrong = (*seen.problems, *self._files.faults, *own)
        return self.manifests != before

    def _complete(self) -> list[Problem]:
        """Put all files together. Gives conflicts among them; if addresses run out, everything stays as it was."""
        manifests, conflicts = self._files.manifests()
        try:
            self.manifests = self._addresses.complete(manifests)
        except RangeFullError as error:
            return [*conflicts, Problem(str(self._settings.folder), 0, 0, str(error))]
        return list(conflicts)

    def _keep(self, error: FolderError) -> bool:
        """The folder is gone or shut: everything stays, and it is said once."""
        if not self._gone:
            log.error("%s; the last good state stays", error)
        self._gone = (Problem(str(self._settings.folder), 0, 0, str(error)),)
        return False

    def _publish(self) -> None:
        self.version += 1
        log.info("manifests: version %d, %d files", self.version, len(self.files))
        for subscriber in list(self._subscribers):
            try:
                subscriber(self.manifests)
            except Exception:  # one subscriber's trouble is not the others'
                log.exception("! a subscriber failed")


def _tell(level: int, problems: Iterable[Problem]) -> None:
    for problem in problems:
        log.log(level, "%s", problem)
