"""What a hop claims, and whether what was observed bears it out [pure].

A check knows what it expects; only `Observed` knows what happened. None of them knows the other's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab_py.evidence.packets import Packet

Place = tuple[str, str]
_FORWARDED = "x-forwarded-client-cert"


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that was seen while the request crossed the lab."""

    packets: Mapping[Place, Sequence[Packet]] = field(default_factory=dict)
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By namespace: what each rule counted."""
    logs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """By process: the fields of each line."""
    calls: Sequence[Mapping[str, Any]] = ()
    """What the application recorded of the request."""
    status: int = 0
    """The answer's; 0 where there was none."""
    answer: str = ""
    """Its body; or why there is none, in the caller's words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check after the fact."""

    kind: str
    """packet, counter, log or call."""
    where: str
    expected: str
    observed: str
    is_so: bool


class Check(Protocol):
    """Something that must have been observed."""

    def judge(self, observed: Observed) -> Finding:
        """Whether it was."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Segments by their ends; None matches any."""

    source: str | None = None
    destination: str | None = None
    source_port: int | None = None
    port: int | None = None
    """Of the destination."""
    vni: int | None = None
    """The tunnel around them; None: none."""

    def matches(self, packet: Packet) -> bool:
        """Whether a segment is one of them."""
        wanted = (self.source, self.source_port, self.destination, self.port)
        found = (*packet.source, *packet.destination)
        ends = all(want is None or want == have for want, have in zip(wanted, found, strict=True))
        return ends and packet.vni == self.vni

    def __str__(self) -> str:
        ends = (self.source, self.source_port), (self.destination, self.port)
        source, destination = (f"{ip or '*'}:{'*' if port is None else port}" for ip, port in ends)
        return f"{source} > {destination}" + ("" if self.vni is None else f" in Geneve {self.vni}")


class Part(Enum):
    """Which segments of a connection must cross a device."""

    ALL = "the SYN and what follows"
    SYN = "the SYN"
    ONLY_SYN = "the SYN and nothing else"
    REST = "what follows the SYN, and no SYN"
    ANSWER = "the answer to the SYN"
    NOTHING = "not one packet"


@dataclass(frozen=True, slots=True)
class SeesPackets:
    """Segments of a flow cross a device."""

    namespace: str
    device: str
    flow: Flow
    part: Part = Part.ALL

    def judge(self, observed: Observed) -> Finding:
        """See `Check`."""
        everything = observed.packets.get((self.namespace, self.device), ())
        seen = [packet for packet in everything if self.flow.matches(packet)]
        text = f"{len(seen)} packet{'s, first' if len(seen) > 1 else ':'} {seen[0]}" if seen else "nothing"
        where, expected = f"{self.namespace} {self.device}", f"{self.flow}: {self.part.value}"
        return Finding("packet", where, expected, text, self._is_so(seen))

    def _is_so(self, seen: Sequence[Packet]) -> bool:
        syns = sum(packet.is_syn for packet in seen)
        match self.part:
            case Part.ALL:
                return 0 < syns < len(seen)
            case Part.SYN:
                return syns > 0
            case Part.ONLY_SYN:
                return syns == len(seen) == 1
            case Part.REST:
                return syns == 0 < len(seen)
            case Part.ANSWER:
                return any(packet.flags == "S." for packet in seen)
            case Part.NOTHING:
                return not seen


@dataclass(frozen=True, slots=True)
class CountsRule:
    """A rule was used."""

    namespace: str
    rule: str
    meaning: str
    """What the rule does, for people."""
    exactly: int | None = None
    """How often; None: at least once."""

    def judge(self, observed: Observed) -> Finding:
        """See `Check`."""
        count = observed.counters.get(self.namespace, {}).get(self.rule)
        wanted = "at least 1" if self.exactly is None else str(self.exactly)
        is_so = count is not None and (count > 0 if self.exactly is None else count == self.exactly)
        text = "no such rule" if count is None else str(count)
        return Finding("counter", f"{self.namespace} {self.rule}", f"{wanted} ({self.meaning})", text, is_so)


@dataclass(frozen=True, slots=True)
class Logs:
    """A process wrote a line with these fields."""

    process: str
    fields: Mapping[str, str | None]
    """A text that ends in `:*` stands for any port; None says that there must be no such field."""

    def judge(self, observed: Observed) -> Finding:
        """See `Check`. What is shown of a line that does not fit is the one that fits best."""
        lines = observed.logs.get(self.process, ())
        best = max(lines, key=self._score, default=None)
        expected = " ".join(f"{name}={value or '-'}" for name, value in self.fields.items())
        if best is None or self._score(best) == 0:
            return Finding("log", self.process, expected, "no such line", False)
        shown = " ".join(f"{name}={best.get(name, '-')}" for name in self.fields)
        return Finding("log", self.process, expected, shown, self._score(best) == len(self.fields))

    def _score(self, line: Mapping[str, Any]) -> int:
        return sum(_fits(line.get(name), value) for name, value in self.fields.items())


@dataclass(frozen=True, slots=True)
class Answered:
    """The application served the request, and this is what it knows of its caller."""

    application: str
    fields: Mapping[str, str]

    def judge(self, observed: Observed) -> Finding:
        """See `Check`."""
        expected = " ".join(["status=200", *(f"{name}={value}" for name, value in self.fields.items())])
        if len(observed.calls) != 1:
            text = f"status={observed.status}, and the application recorded {len(observed.calls)} calls"
            return Finding("call", self.application, expected, text, False)
        call = observed.calls[0]
        shown = " ".join([f"status={observed.status}", *(f"{name}={call.get(name, '-')}" for name in self.fields)])
        is_so = observed.status == 200 and all(_fits(call.get(name), value) for name, value in self.fields.items())
        return Finding("call", self.application, expected, shown, is_so)


@dataclass(frozen=True, slots=True)
class CallerProved:
    """The application was told who has proved to be its caller, or that nobody has."""

    application: str
    identity: str | None

    def judge(self, observed: Observed) -> Finding:
        """See `Check`. The header is the last proxy's word; one that the caller brought along has been taken away."""
        told = [str(call.get("headers", {}).get(_FORWARDED, "")) for call in observed.calls]
        shown = ", ".join(text or "nobody" for text in told) or "no call"
        is_so = len(told) == 1 and (f"URI={self.identity}" in told[0] if self.identity else not told[0])
        return Finding("call", self.application, f"{_FORWARDED}: {self.identity or 'nobody'}", shown, is_so)


def _fits(found: object, wanted: str | None) -> bool:
    if isinstance(wanted, str) and wanted.endswith(":*"):
        return str(found).startswith(wanted[:-1])
    return found == wanted
