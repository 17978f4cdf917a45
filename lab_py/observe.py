"""One request through a lab that is up, and everything that can be seen of it."""

from __future__ import annotations

import dataclasses
import http.client
import json
import secrets
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from lab_py.errors import LabError
from lab_py.evidence.capture import open_captures
from lab_py.evidence.checks import Logs, Observed
from lab_py.evidence.counters import counted_since, read_counters
from lab_py.evidence.log_lines import read_log
from lab_py.hops.base import HopFound, judge, places_of
from lab_py.peers.running import get_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab_py.evidence.capture import Frame, Place
    from lab_py.hops.base import Hop
    from lab_py.lab import Lab
    from lab_py.netns import Namespaces
    from lab_py.topology import Request, Service, Topology
    from lab_py.world import WorldFiles

ANSWER_SECONDS = 5.0
"""How long the answer may take: a path that is broken shows itself by then."""
LOG_SECONDS = 3.0
"""How long the proxies may take to write of a connection that is over."""
_LOOK_SECONDS = 0.02


def observe(
    topology: Topology,
    namespaces: Namespaces,
    files: WorldFiles,
    hops: Sequence[Hop],
    patience: float = ANSWER_SECONDS,
    frames: dict[Place, Sequence[Frame]] | None = None,
) -> list[HopFound]:
    """Send the topology's request and judge every hop by what was seen.

    Args:
        patience: seconds the answer may take.
        frames: gets all that was captured, by place.

    Raises:
        LabError: nothing can be captured, or a capture lost packets.
    """
    request = topology.request
    assert request is not None  # hops are described for requests only
    service = topology.service(request.service)
    token = secrets.token_hex(8)
    with ExitStack() as stack:
        captures = open_captures(namespaces, places_of(hops))
        for capture in captures.values():
            stack.enter_context(closing(capture))
        before = _counters(topology, namespaces)
        log = _Logs(files, hops)
        status = _ask(namespaces, request.source, service, f"{request.path}?token={token}", patience)
        calls = _calls(topology, namespaces, service, token)
        logs = log.read(LOG_SECONDS if status == 200 else 0.0)
        after = _counters(topology, namespaces)
        packets = {place: capture.packets() for place, capture in captures.items()}
        if frames is not None:
            frames |= {place: capture.frames for place, capture in captures.items()}
        if any(capture.lost() for capture in captures.values()):
            raise LabError("a capture lost packets: too much else crosses the lab")
    counters = {name: counted_since(before[name], after[name]) for name in after}
    return judge(hops, Observed(packets, counters, logs, calls, status))


def observe_all(lab: Lab, cells: Iterable[tuple[Request, Hop]]) -> Iterator[HopFound]:
    """One request after the other, each judged by its own claims. Raises LabError."""
    for request, hop in cells:
        topology = dataclasses.replace(lab.built.topology, request=request)
        yield from observe(topology, lab.built.namespaces, lab.files, [hop])


def _counters(topology: Topology, namespaces: Namespaces) -> dict[str, dict[str, int]]:
    return {name: read_counters(namespaces.rules(name)) for name in topology.namespaces}


def _ask(namespaces: Namespaces, source: str, service: Service, path: str, patience: float) -> int:
    """GET from the pod's own namespace, as its application would; the status, 0 where there was no answer."""

    def ask() -> int:
        connection = http.client.HTTPConnection(service.vip, service.port, timeout=patience)
        try:
            connection.request("GET", path, headers={"Host": f"{service.name}:{service.port}", "Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    return namespaces.inside(source, ask)


def _calls(topology: Topology, namespaces: Namespaces, service: Service, token: str) -> list[Mapping[str, Any]]:
    """What the service's applications recorded of the token."""
    found: list[Mapping[str, Any]] = []
    for name in service.pods:
        pod = topology.pod(name)
        if pod.port is not None:
            status, body = get_inside(namespaces, name, ("127.0.0.1", pod.port), f"/record?token={token}")
            found += json.loads(body) if status == 200 else []
    return found


class _Logs:
    """The logs that hops ask for, from now on."""

    def __init__(self, files: WorldFiles, hops: Sequence[Hop]) -> None:
        self._checks = [check for hop in hops for check in hop.checks if isinstance(check, Logs)]
        self._files = {check.process: files.log(check.process) for check in self._checks}
        self._begin = {name: file.stat().st_size if file.exists() else 0 for name, file in self._files.items()}

    def read(self, patience: float) -> dict[str, list[dict[str, Any]]]:
        """Their lines, once they say what is claimed, or after so many seconds."""
        deadline = time.monotonic() + patience
        while True:
            logs = {name: read_log(self._text(name)) for name in self._files}
            observed = Observed(logs=logs)
            if all(check.judge(observed).is_so for check in self._checks) or time.monotonic() > deadline:
                return logs
            time.sleep(_LOOK_SECONDS)

    def _text(self, name: str) -> str:
        file = self._files[name]
        return file.read_bytes()[self._begin[name] :].decode(errors="replace") if file.exists() else ""
