"""What became of the three paths, for people and for programs [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab_py.redirect.names import HBONE_PORT
from mesh_py.telemetry.log_lines import connection_fields, request_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab_py.paths.judge import HopFound, PathFound
    from lab_py.paths.plan import Path
    from mesh_py.process.findings import Finding

    Styled = Callable[..., str]

WIDTH = 100
"""Columns that no line of ours exceeds, unless a single word does."""
_HBONE = " ══ HBONE ══ "


def as_lines(found: PathFound, styled: Styled) -> Iterator[str]:
    """A path: its drawing, the request, each hop with its line and identities, and what else was judged.

    Args:
        styled: gives a text a style such as `green`, where colours are shown.
    """
    path, first = found.path, found.seen.first
    yield styled(f"Path {path.number}: {path.title}", "bold")
    yield ""
    yield from (f"  {line}" for line in drawing(path))
    yield ""
    yield f"  GET http://{path.authority}{path.question}?token={first.token}"
    yield f"  {f'answered {first.status}' if first.status else first.body}"
    yield ""
    for hop in found.hops:
        yield from _hop_lines(hop, styled)
    for finding in found.findings:
        yield from _finding_lines(finding, styled, "  ")
    yield ""


def drawing(path: Path) -> list[str]:
    """The way of a request, one line or two."""
    client, servers = path.client, path.servers
    way = [(client.label, client.ip, " ── "), (client.proxy, "", _HBONE)]
    if path.waypoint is not None:
        way += [(path.waypoint.proxy, path.waypoint.ip, " ═╤═ HBONE ══ ")]
    label = servers[0].label if len(servers) == 1 else servers[0].name
    way += [(servers[0].proxy, f":{HBONE_PORT}", " ── "), (label, servers[0].ip, "")]
    widths = [max(len(name), len(address)) for name, address, _ in way]
    upper = "".join(f"{name:<{width}}{link}" for (name, _, link), width in zip(way, widths, strict=True))
    lower = "".join(f"{at:<{width}}{' ' * len(link)}" for (_, at, link), width in zip(way, widths, strict=True))
    if len(servers) == 1:
        return [upper.rstrip(), lower.rstrip()]
    fork = upper.index("╤")
    branch = f"╘═ HBONE ══ {servers[1].proxy} ── {servers[1].name}"
    return [upper.rstrip(), f"{lower[:fork]}{branch}"]


def _hop_lines(found: HopFound, styled: Styled) -> Iterator[str]:
    mark = styled("ok", "green") if found.is_so else styled("NO", "red", "bold")
    yield f"  {mark} {styled(found.hop.number, 'bold')} {found.hop.title}"
    if found.identities is not None:
        source, destination = (identity or "nobody has proved it" for identity in found.identities)
        yield f"       source      {source}"
        yield f"       destination {destination}"
    if found.line:
        who = found.hop.receiver or "the application"
        yield f"       {styled(who, 'dim')}"
        yield from (f"         {styled(line, 'dim')}" for line in wrapped(found.line, WIDTH - 9))
    for finding in found.findings:
        yield from _finding_lines(finding, styled, "       ")
    yield ""


def _finding_lines(finding: Finding, styled: Styled, indent: str) -> Iterator[str]:
    mark = styled("ok", "green") if finding.is_so else styled("NO", "red", "bold")
    first, *others = wrapped(finding.text, WIDTH - len(indent) - 3)
    yield f"{indent}{mark} {first}"
    yield from (f"{indent}   {line}" for line in others)


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines that are broken at spaces; a longer word stays whole."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def verdict(found: Sequence[PathFound]) -> list[str]:
    """A sentence for each path that did not go its way; one if all did. Broken into lines."""
    broken = [f"NOT proved: path {one.path.number}, {one.broken}" for one in found if not one.is_so]
    words = broken or [f"All {len(found)} paths went their way, both identities of every tunnel verified."]
    return [line for sentence in words for line in wrapped(sentence, WIDTH)]


def as_json(found: Sequence[PathFound], seconds: float) -> dict[str, Any]:
    """The same as a value for JSON."""
    return {
        "ok": all(one.is_so for one in found),
        "startSeconds": round(seconds, 3),
        "paths": [_path_json(one) for one in found],
    }


def _path_json(found: PathFound) -> dict[str, Any]:
    path, first = found.path, found.seen.first
    return {
        "path": path.number,
        "title": path.title,
        "ok": found.is_so,
        "broken": found.broken or None,
        "request": {
            "url": f"http://{path.authority}{path.question}",
            "token": first.token,
            "status": first.status or None,
            "sent": len(found.seen.sent),
        },
        "server": found.server.label,
        "hops": [_hop_json(hop) for hop in found.hops],
        "findings": [finding._asdict() for finding in found.findings],
    }


def _hop_json(found: HopFound) -> dict[str, Any]:
    hop, tunnel = found.hop, found.hop.tunnel
    result: dict[str, Any] = {
        "hop": hop.number,
        "title": hop.title,
        "ok": found.is_so,
        "encrypted": tunnel is not None,
        "process": hop.receiver or None,
        "line": found.line or None,
        "fields": connection_fields(found.line) or request_fields(found.line) or None,
        "findings": [finding._asdict() for finding in found.findings],
    }
    if tunnel is not None and found.identities is not None:
        source, destination = found.identities
        result["identities"] = {"source": source or None, "destination": destination or None}
        result["address"] = tunnel.destination.hbone
    return result
