"""Processes of the lab while they run: started in their namespaces, awaited, looked after."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.errors import LabError
from lab_py.netns import need_tool
from mesh_py.process.children import python_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab_py.netns import Namespaces
    from lab_py.peers.base import Peer
    from lab_py.world import WorldFiles

READY_SECONDS = 30.0
"""How long all of them together may take to come up."""
_LOOK_SECONDS = 0.02
_ANSWER_SECONDS = 2.0


@dataclass(slots=True)
class Running:
    """One process that was started."""

    peer: Peer
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def last_line(self) -> str:
        """What it said last."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self.process.poll()


def start(namespaces: Namespaces, files: WorldFiles, peers: Iterable[Peer]) -> list[Running]:
    """Start processes, each in its namespace, its output in its log file. Raises LabError.

    They end with the lab's process namespace, whatever becomes of us.
    """
    return [_start_one(namespaces, files, peer) for peer in peers]


def _start_one(namespaces: Namespaces, files: WorldFiles, peer: Peer) -> Running:
    log = files.log(peer.name)
    command = [*peer.enters_by, *_as(peer.uid), *peer.command]
    environment = {**python_environment(), **peer.environment}
    with log.open("ab") as output:
        if peer.uid is not None:  # who opens /dev/stdout anew must be let
            os.fchown(output.fileno(), peer.uid, peer.uid)

        def begin() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )

        process = begin() if peer.enters_by else namespaces.inside(peer.namespace, begin)
    return Running(peer, process, log)


def _as(uid: int | None) -> list[str]:
    """What makes a command run as another user, who may still read our files: interpreter, mesh and certificates."""
    if uid is None:
        return []
    reads = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    return [need_tool("setpriv"), "--reuid", str(uid), "--regid", str(uid), "--clear-groups", *reads]


def wait_until_ready(namespaces: Namespaces, started: Iterable[Running]) -> None:
    """Return once all of them serve. Raises LabError: one has ended, or time is up."""
    deadline = time.monotonic() + READY_SECONDS
    for one in started:
        while not is_ready(namespaces, one.peer):
            if one.status is not None:
                raise LabError(f"{one.peer.name} ended with status {one.status}; it said last: {one.last_line}")
            if time.monotonic() > deadline:
                raise LabError(
                    f"{one.peer.name} is not ready after {READY_SECONDS:.0f} s; it said last: {one.last_line}"
                )
            time.sleep(_LOOK_SECONDS)


def is_ready(namespaces: Namespaces, peer: Peer) -> bool:
    """Whether it answers 200 where it says that it is ready, or has made its socket."""
    if isinstance(peer.ready, Path):
        return peer.ready.is_socket()
    port, path = peer.ready
    return get_inside(namespaces, peer.namespace, ("127.0.0.1", port), path)[0] == 200


def get_inside(namespaces: Namespaces, namespace: str, address: tuple[str, int], path: str) -> tuple[int, str]:
    """Status and body of a GET from inside a namespace; (0, why not) where nobody answers."""

    def get() -> tuple[int, str]:
        connection = http.client.HTTPConnection(*address, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    try:
        return namespaces.inside(namespace, get)
    except (TimeoutError, OSError, http.client.HTTPException) as error:
        return 0, str(error)
