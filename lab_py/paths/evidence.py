"""What was seen of a path while its requests crossed it [pure]."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesh_py.telemetry.log_lines import connection_fields, request_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab_py.paths.plan import Counter, Hop
    from mesh_py.process.heard import Line

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(slots=True)
class Sent:
    """One request."""

    token: str
    """Random; it travels in the URL."""
    version: str = ""
    """What its header `x-version` asks for; empty: it has none."""
    status: int = 0
    """0: there was no answer, and `body` says why."""
    body: str = ""


@dataclass(slots=True)
class Seen:
    """What everybody told."""

    sent: list[Sent]
    """The first one is shown hop by hop."""
    lines: Sequence[Line] = ()
    calls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By pod: what its application has recorded of the requests."""
    metrics: dict[str, str] = field(default_factory=dict)
    """By process."""
    shown: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """By process: who its 15008 proves to be, and whether it refuses who shows no certificate."""

    @property
    def first(self) -> Sent:
        """The request that is shown."""
        return self.sent[0]

    def calls_of(self, pod: str, token: str) -> list[dict[str, Any]]:
        """What the application of a pod has recorded of one request."""
        return [call for call in self.calls.get(pod, ()) if call["path"].endswith(f"token={token}")]


def find_line(lines: Sequence[Line], hop: Hop, token: str) -> str:
    """The line of a hop's receiver about the request; empty if there is none. A connection's last word counts."""
    own = [line for process, line in lines if process == hop.receiver]
    if not hop.wanted:
        return next((line for line in own if request_fields(line).get("path", "").endswith(f"token={token}")), "")
    parsed = [(line, connection_fields(line)) for line in reversed(own)]
    told = [line for line, fields in parsed if hop.wanted.items() <= fields.items()]
    return next(iter(told + [line for line, fields in parsed if _is_refused(fields, hop)]), "")


def _is_refused(found: Mapping[str, str], hop: Hop) -> bool:
    """Whether a line is about a connection that was refused before its ends were known, and may be the hop's."""
    names = ("direction", "dst.addr")
    return found.get("message") == "connection failed" and all(found.get(name) == hop.wanted[name] for name in names)


def samples(metrics: str, counter: Counter) -> Iterator[tuple[dict[str, str], int]]:
    """The labels and values of a family's samples that bear a counter's labels."""
    for line in metrics.splitlines():
        name, _, rest = line.partition("{")
        if name == counter.family:
            text, _, value = rest.rpartition("} ")
            labels = dict(_LABEL.findall(text))
            if counter.labels.items() <= labels.items():
                yield labels, int(float(value))
