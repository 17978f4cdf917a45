"""One line per connection: the three shapes of the access log, plain and JSON (hbone-dataplane 7.1) [pure].

A line is made of what all connections between two parties share, written once and kept, and a few numbers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mesh_py.telemetry.log_text import bare, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.telemetry.facts import ConnectionFacts, Party, Reporter

_PAIRS_KEPT = 10_000
_Fields = list[tuple[str, str]]

_DIRECTION: dict[Reporter, str] = {"source": "outbound", "destination": "inbound", "waypoint": "inbound"}


class Ended(NamedTuple):
    """The numbers of a finished connection. Bytes are named as the metrics name them (hbone-dataplane 7.3)."""

    received_bytes: int
    """From client to server."""
    sent_bytes: int
    """From server to client."""
    milliseconds: int
    error: str | None = None


class Ends(NamedTuple):
    """What lines of connections between the same two ends have in common; whoever has many of them keeps it."""

    text: str
    """All that follows the client's address, up to the numbers."""
    is_clients: bool
    """The client's proxy writes the line: what its workload sent is what the server received."""


class ConnectionLines(Protocol):
    """One notation of the access log. Addresses are text, `ip:port`; `hbone_addr` is the CONNECT's authority."""

    def ends(self, facts: ConnectionFacts, dst: str, hbone_addr: str | None) -> Ends:
        """Whom a line is about."""
        ...

    def opened(self, time: str, src: str, ends: Ends) -> str:
        """A connection whose two ends are known is about to be served."""
        ...

    def complete(self, time: str, src: str, ends: Ends, ended: Ended) -> str:
        """It is over, well or not."""
        ...

    def failed(self, time: str, reporter: Reporter, src: str, dst: str, error: str) -> str:
        """It was refused before its two ends were known; `dst` may be a name that was asked for, or empty."""
        ...


class PlainLines:
    """Tab-separated head, then `key=value` fields; strings quoted, addresses and numbers bare."""

    def __init__(self) -> None:
        self._shared = _SharedText(_plain, lambda address: f" dst.hbone_addr={bare(address)}")

    def ends(self, facts: ConnectionFacts, dst: str, hbone_addr: str | None) -> Ends:
        """See `ConnectionLines`."""
        before, after = self._shared.of(facts, hbone_addr)
        return Ends(f"{before} dst.addr={dst}{after}", facts.reporter == "source")

    def opened(self, time: str, src: str, ends: Ends) -> str:
        """See `ConnectionLines`."""
        return f"{time}\tdebug\taccess\tconnection opened\tsrc.addr={src}{ends.text}\n"

    def complete(self, time: str, src: str, ends: Ends, ended: Ended) -> str:
        """See `ConnectionLines`."""
        # Each proxy tells what its own workload has sent and received.
        text, is_clients = ends
        received, sent, milliseconds, error = ended
        if is_clients:
            received, sent = sent, received
        level, tail = ("info", "") if error is None else ("error", f" error={quoted(error)}")
        return (
            f"{time}\t{level}\taccess\tconnection complete\tsrc.addr={src}{text}"
            f' bytes_sent={sent} bytes_recv={received} duration="{milliseconds}ms"{tail}\n'
        )

    def failed(self, time: str, reporter: Reporter, src: str, dst: str, error: str) -> str:
        """See `ConnectionLines`."""
        to = f" dst.addr={bare(dst)}" if dst else ""
        return (
            f"{time}\twarn\taccess\tconnection failed\tsrc.addr={src}{to} "
            f'direction="{_DIRECTION[reporter]}" error={quoted(error)}\n'
        )


class JsonLines:
    """One JSON object per line, the fields flat beside level, time, scope and message."""

    def __init__(self) -> None:
        self._shared = _SharedText(_json, lambda address: f',"dst.hbone_addr":{json_text(address)}')

    def ends(self, facts: ConnectionFacts, dst: str, hbone_addr: str | None) -> Ends:
        """See `ConnectionLines`."""
        before, after = self._shared.of(facts, hbone_addr)
        return Ends(f'{before},"dst.addr":"{dst}"{after}', facts.reporter == "source")

    def opened(self, time: str, src: str, ends: Ends) -> str:
        """See `ConnectionLines`."""
        return f'{_json_head("debug", time, "connection opened")},"src.addr":"{src}"{ends.text}}}\n'

    def complete(self, time: str, src: str, ends: Ends, ended: Ended) -> str:
        """See `ConnectionLines`."""
        received, sent, milliseconds, error = ended
        if ends.is_clients:
            received, sent = sent, received
        level, tail = ("info", "") if error is None else ("error", f',"error":{json_text(error)}')
        return (
            f'{_json_head(level, time, "connection complete")},"src.addr":"{src}"{ends.text}'
            f',"bytes_sent":{sent},"bytes_recv":{received},"duration":"{milliseconds}ms"{tail}}}\n'
        )

    def failed(self, time: str, reporter: Reporter, src: str, dst: str, error: str) -> str:
        """See `ConnectionLines`."""
        to = f'"dst.addr":{json_text(dst)},' if dst else ""
        return (
            f'{_json_head("warn", time, "connection failed")},"src.addr":{json_text(src)},'
            f'{to}"direction":"{_DIRECTION[reporter]}","error":{json_text(error)}}}\n'
        )


def json_text(text: str) -> str:
    """The text as a JSON string; beyond ASCII as it is."""
    return json.dumps(text, ensure_ascii=False)


def _json_head(level: str, time: str, message: str) -> str:
    return f'{{"level":"{level}","time":"{time}","scope":"access","message":"{message}"'


class _SharedText:
    """What lines with equal facts and CONNECT authority share: the text after `src.addr`, and that after `dst.addr`."""

    def __init__(self, render: Callable[[_Fields], str], render_authority: Callable[[str], str]) -> None:
        self._render, self._render_authority = render, render_authority
        self._texts: dict[tuple[ConnectionFacts, str | None], tuple[str, str]] = {}

    def of(self, facts: ConnectionFacts, hbone_addr: str | None) -> tuple[str, str]:
        return self._texts.get((facts, hbone_addr)) or self._made(facts, hbone_addr)

    def _made(self, facts: ConnectionFacts, hbone_addr: str | None) -> tuple[str, str]:
        if len(self._texts) >= _PAIRS_KEPT:
            self._texts.clear()
        source, destination = _named_fields(facts)
        authority = "" if hbone_addr is None else self._render_authority(hbone_addr)
        texts = self._texts[facts, hbone_addr] = (self._render(source), authority + self._render(destination))
        return texts


def _named_fields(facts: ConnectionFacts) -> tuple[_Fields, _Fields]:
    """The fields between `src.addr` and `dst.addr`, and those from there to `direction`; unknown ones left out."""
    destination = facts.destination
    identity = destination.identity if destination is not None and facts.mutual_tls else ""
    source_fields = _party_fields("src", facts.source, facts.source_principal if facts.mutual_tls else "")
    service = [("dst.service", facts.service.hostname)] if facts.service is not None else []
    destination_fields = [*service, *_party_fields("dst", destination, identity)]
    direction = ("direction", _DIRECTION[facts.reporter])
    return _known(source_fields), [*_known(destination_fields), direction]


def _party_fields(end: str, party: Party | None, identity: str) -> _Fields:
    if party is None:
        return [(f"{end}.identity", identity)]
    return [
        (f"{end}.workload", party.name),
        (f"{end}.namespace", party.namespace),
        (f"{end}.identity", identity),
        (f"{end}.cluster", party.cluster),
    ]


def _known(fields: _Fields) -> _Fields:
    return [(key, value) for key, value in fields if value]


def _plain(fields: _Fields) -> str:
    return "".join(f" {key}={quoted(value)}" for key, value in fields)


def _json(fields: _Fields) -> str:
    return "".join(f',"{key}":{json_text(value)}' for key, value in fields)
