"""Did the request of the demo really travel through HBONE, both identities proved? Judged from evidence [pure].

The witnesses are not our own word alone: the application's record of its caller, what the standard library's TLS sees
at 15008, and the two access log lines, which must agree with each other and with what was set up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesh_py.process.findings import Finding
from mesh_py.telemetry.log_lines import connection_fields
from ztunnel_py.config import Ports
from ztunnel_py.world import APPLICATION_PORT, HTTPBIN, SLEEP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ztunnel_py.world import World


@dataclass(slots=True)
class Evidence:
    """What was seen."""

    token: str
    """Random; it travelled in a header of the request."""
    status: int = 0
    body: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    """What the application recorded for the token."""
    source_line: str = ""
    """node-a's access log line."""
    destination_line: str = ""
    """node-b's."""
    shown_identity: str = ""
    """The SPIFFE identity of the certificate that 15008 of node-b shows to sleep's certificate."""
    refuses_strangers: bool = False
    """Whether 15008 of node-b said nothing to a client without certificate."""
    serials: dict[str, str] = field(default_factory=dict)
    """By node, the serial number of its workload's certificate by its own `/config_dump`."""
    issued: dict[str, str] = field(default_factory=dict)
    """By node, the serial number of the certificate that was made for its workload."""


def judge(evidence: Evidence, world: World) -> list[Finding]:
    """All findings, in the order the request travelled. It went through HBONE only if each one is so."""
    return [
        _answer(evidence),
        _application(evidence, world),
        _line("node-a", "outbound", evidence.source_line, world),
        _line("node-b", "inbound", evidence.destination_line, world),
        _same_bytes(connection_fields(evidence.source_line), connection_fields(evidence.destination_line)),
        _listener(evidence, world),
        *_certificates(evidence),
    ]


def _answer(evidence: Evidence) -> Finding:
    is_so = evidence.status == 200 and evidence.token in evidence.body
    found = f"status {evidence.status or 'none'}, the token {'in' if evidence.token in evidence.body else 'not in'} it"
    return Finding(is_so, f"the answer came back: {found}")


def _application(evidence: Evidence, world: World) -> Finding:
    expected = (world.sleep_ip, f"{world.httpbin_ip}:{APPLICATION_PORT}")
    seen = [(call["peer"].rpartition(":")[0], call["local"]) for call in evidence.calls]
    if seen == [expected]:
        return Finding(True, f"the application recorded one call with the token, from {world.sleep_ip} (default/sleep)")
    told = ", ".join(f"from {peer} at {local}" for peer, local in seen) or "none"
    return Finding(False, f"the application recorded calls with the token: {told}; expected one from {expected[0]}")


def _line(node: str, direction: str, line: str, world: World) -> Finding:
    expected = {
        "direction": direction,
        "src.identity": str(SLEEP),
        "dst.identity": str(HTTPBIN),
        "dst.addr": f"{world.httpbin_ip}:{Ports().inbound}",
        "dst.hbone_addr": f"{world.httpbin_ip}:{APPLICATION_PORT}",
    }
    found = connection_fields(line)
    wrong = {key: found.get(key, "nothing") for key, value in expected.items() if found.get(key) != value}
    if not line:
        return Finding(False, f"{node} logged no connection")
    if wrong or "error" in found:
        told = ", ".join(f"{key}={value}" for key, value in wrong.items()) or f"error={found['error']}"
        return Finding(False, f"{node} logged {told}")
    return Finding(True, f"{node} logged it {direction} by HBONE, from {SLEEP} to {HTTPBIN}")


def _same_bytes(source: Mapping[str, str], destination: Mapping[str, str]) -> Finding:
    """The two proxies count the same bytes from their two sides."""
    here = source.get("bytes_sent", "?"), source.get("bytes_recv", "?")
    there = destination.get("bytes_recv", "?"), destination.get("bytes_sent", "?")
    if here == there and "?" not in here:
        return Finding(True, f"both counted {here[0]} bytes there and {here[1]} back")
    return Finding(False, f"node-a counted {here[0]} bytes there and {here[1]} back, node-b {there[0]} and {there[1]}")


def _listener(evidence: Evidence, world: World) -> Finding:
    where = f"{world.httpbin_ip}:{Ports().inbound}"
    shown = evidence.shown_identity or "nothing"
    if shown == str(HTTPBIN) and evidence.refuses_strangers:
        return Finding(True, f"{where} proves to be {HTTPBIN}, and refuses who shows no certificate")
    strangers = "refuses" if evidence.refuses_strangers else "answers"
    return Finding(False, f"{where} proves to be {shown}, and {strangers} who shows no certificate")


def _certificates(evidence: Evidence) -> Iterator[Finding]:
    for node, serial in evidence.issued.items():
        found = evidence.serials.get(node, "none")
        is_so = found == serial
        text = f"{node} holds the certificate made for its pod" if is_so else f"{node} holds certificate {found}"
        yield Finding(is_so, f"{text} (serial {serial[:12]}…)")
