"""One request through a lab that is up, and everything that can be seen of it."""

from __future__ import annotations

import dataclasses
import http.client
import json
import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from lab_py.errors import LabError
from lab_py.evidence.capture import captures
from lab_py.evidence.checks import Logs, Observed
from lab_py.evidence.counters import counted_since, read_counters
from lab_py.evidence.log_lines import read_log
from lab_py.evidence.packets import is_labs_own
from lab_py.hops.base import HopFound, judge, places_of
from lab_py.peers.running import get_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab_py.evidence.capture import Frame, Place
    from lab_py.evidence.packets import Packet
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
_MOST_ANSWER = 1 << 20


def observe(
    topology: Topology,
    namespaces: Namespaces,
    files: WorldFiles,
    hops: Sequence[Hop],
    frames: dict[Place, Sequence[Frame]] | None = None,
    also: Iterable[Place] = (),
) -> list[HopFound]:
    """Send the topology's request and judge every hop by what was seen.

    Args:
        frames: gets all that was captured, by place.
        also: where packets are captured beside the places that hops name.

    Raises:
        LabError: nothing can be captured, or a capture lost packets.
    """
    logs = LogTails(files, (check.process for check in _log_checks(hops)), hops)
    return judge(hops, witness(topology, namespaces, [*places_of(hops), *also], logs, ANSWER_SECONDS, frames))


def witness(
    topology: Topology,
    namespaces: Namespaces,
    places: Iterable[Place],
    tails: LogTails,
    patience: float,
    frames: dict[Place, Sequence[Frame]] | None = None,
    filler: int = 0,
    settling: float = 0.0,
) -> Observed:
    """Send the topology's request, and say what was seen of it; for the other arguments and errors see `observe`.

    Args:
        filler: bytes of a header that makes the request larger.
        settling: seconds that proxies have to write of a request that failed.
    """
    request = topology.request
    assert request is not None  # hops are described for requests only
    service = topology.service(request.service)
    token = secrets.token_hex(8)
    with captures(namespaces, places) as captured:
        before = counters_of(topology, namespaces)
        answer = _ask(namespaces, request.source, service, f"{request.path}?token={token}", patience, filler)
        calls = _calls(topology, namespaces, service, token)
        logs = tails.read(LOG_SECONDS if answer.status == 200 else settling)
        after = counters_of(topology, namespaces)
        packets = {place: _of_requests(capture.packets()) for place, capture in captured.items()}
        if frames is not None:
            frames |= {place: capture.frames for place, capture in captured.items()}
        if any(capture.lost() for capture in captured.values()):
            raise LabError("a capture lost packets: too much else crosses the lab")
    counters = {name: counted_since(before[name], after[name]) for name in after}
    return Observed(packets, counters, logs, calls, answer.status, answer.text)


def observe_all(lab: Lab, cells: Iterable[tuple[Request, Hop]]) -> Iterator[HopFound]:
    """One request after the other, each judged by its own claims. Raises LabError."""
    for request, hop in cells:
        topology = dataclasses.replace(lab.built.topology, request=request)
        yield from observe(topology, lab.built.namespaces, lab.files, [hop])


def _of_requests(packets: Iterable[Packet]) -> list[Packet]:
    """Without what is the lab's own business meanwhile."""
    return [packet for packet in packets if not is_labs_own(packet)]


def counters_of(topology: Topology, namespaces: Namespaces) -> dict[str, dict[str, int]]:
    """What every rule of the lab has counted, by namespace. Raises LabError."""
    return {name: read_counters(namespaces.rules(name)) for name in topology.namespaces}


def _ask(namespaces: Namespaces, source: str, service: Service, path: str, patience: float, filler: int) -> _Answer:
    """GET from the pod's own namespace, as its application would."""
    headers = {"Host": f"{service.name}:{service.port}", "Connection": "close"}
    if filler:
        headers["X-Filler"] = "x" * filler

    def ask() -> _Answer:
        connection = http.client.HTTPConnection(service.vip, service.port, timeout=patience)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return _Answer(answer.status, answer.read(_MOST_ANSWER).decode(errors="replace"))
        except (OSError, http.client.HTTPException) as error:
            return _Answer(0, getattr(error, "strerror", None) or str(error) or type(error).__name__)
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


class _Answer(NamedTuple):
    status: int
    """0: there was none."""
    text: str
    """The answer's body, or why there is none."""


class LogTails:
    """What some processes write from now on, as fields."""

    def __init__(self, files: WorldFiles, processes: Iterable[str], hops: Sequence[Hop]) -> None:
        """`hops` say which lines are worth waiting for."""
        self._checks = _log_checks(hops)
        self._files = {name: files.log(name) for name in processes}
        self._begin = {name: file.stat().st_size if file.exists() else 0 for name, file in self._files.items()}

    def read(self, patience: float) -> dict[str, list[dict[str, Any]]]:
        """Their lines by process, once they say what is claimed, or after so many seconds."""
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


def _log_checks(hops: Sequence[Hop]) -> list[Logs]:
    return [check for hop in hops for check in hop.checks if isinstance(check, Logs)]
