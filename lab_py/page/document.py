"""The page: the picture, the hops as a list, and of each hop what was seen. Every text of the run is escaped [pure]."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from lab_py.page.drawing import drawing
from lab_py.page.script import SCRIPT
from lab_py.page.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KINDS = {
    "packet": "Packets",
    "counter": "Rules and their counters",
    "log": "Log lines",
    "call": "What the application knows of its caller",
}
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_MOST_PACKETS = 40
"""Of one device that are listed; the capture file has all of them."""


def document(data: Mapping[str, Any]) -> str:
    """The page of a run, from what `run -o json` prints; read without script, it shows all hops."""
    return "\n".join(_parts(data)) + "\n"


def _parts(data: Mapping[str, Any]) -> Iterator[str]:
    title, hops = escape(data["topology"]["title"]), data["hops"]
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield f'<meta name="color-scheme" content="light dark">\n<title>{title}</title>'
    yield f"<style>{STYLE}</style>\n</head>\n<body>"
    yield f"<header><h1>{title}</h1>\n<p>{_summary(data)}</p></header>\n<main>"
    yield '<nav aria-label="Hops"><div class="controls">'
    yield '<button id="previous" type="button" aria-label="Previous hop">←</button>'
    yield '<button id="play" type="button">Play</button>'
    yield '<button id="next" type="button" aria-label="Next hop">→</button></div><ol>'
    yield from map(_button, hops)
    yield "</ol></nav>"
    yield f'<figure tabindex="0" aria-label="The picture">{drawing(data)}</figure>'
    yield '<section id="seen" aria-live="polite" aria-label="What was seen of the hop">'
    for hop in hops:
        yield from _article(hop, data)
    yield "</section>\n</main>"
    yield "<footer>Arrow keys, Home and End go from hop to hop; space plays.</footer>"
    yield f"<script>{SCRIPT}</script>\n</body>\n</html>"


def _summary(data: Mapping[str, Any]) -> str:
    missing = [f"({escape(hop['hop'])})" for hop in data["hops"] if not hop["ok"]]
    text = f"not observed as predicted: {', '.join(missing)}" if missing else "every hop observed as predicted"
    design = escape(data["topology"]["design"])
    machine = escape(str(data.get("machine", "")))
    return f'<strong class="{"bad" if missing else "good"}">{text}</strong> <span>Design {design}; {machine}</span>'


def _button(hop: Mapping[str, Any]) -> str:
    number, title = escape(hop["hop"]), escape(hop["title"])
    state = "" if hop["ok"] else ' class="bad"'
    spoken = f"Hop {number}: {title}" + ("" if hop["ok"] else " (not observed)")
    return f'<li><button type="button" data-go="{number}"{state} aria-label="{spoken}">{number}</button></li>'


def _article(hop: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    number = escape(hop["hop"])
    yield f'<article id="hop-{number}" data-hop="{number}">'
    yield f'<h2><span class="number">{number}</span> {escape(hop["title"])}</h2>'
    for kind, title in _KINDS.items():
        findings = [finding for finding in hop["findings"] if finding["kind"] == kind]
        if findings:
            yield f"<h3>{title}</h3><ul>"
            for finding in findings:
                yield from _finding(finding, hop, data)
            yield "</ul>"
    yield from _identities(hop, data)
    yield "</article>"


def _finding(finding: Mapping[str, Any], hop: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    state, mark = ("good", "✓") if finding["ok"] else ("bad", "✗")
    said = "as predicted" if finding["ok"] else "not as predicted"
    where = escape(finding["where"])
    yield f'<li class="{state}"><span class="mark" role="img" aria-label="{said}">{mark}</span> <b>{where}</b>'
    yield f"<dl><dt>seen</dt><dd>{escape(finding['observed'])}</dd>"
    yield f"<dt>expected</dt><dd>{escape(finding['expected'])}</dd>"
    rule = data.get("rules", {}).get(finding["where"]) if finding["kind"] == "counter" else None
    if rule:
        yield f"<dt>rule</dt><dd><code>{escape(rule)}</code></dd>"
    yield "</dl>"
    if finding["kind"] == "packet":
        yield from _packets(finding["where"], hop["hop"], data)
    yield "</li>"


def _packets(where: str, number: str, data: Mapping[str, Any]) -> Iterator[str]:
    packets = [one for one in data.get("packets", {}).get(where, ()) if number in one["hops"]]
    if packets:
        rows = "\n".join(f"{one['ms']:9.3f} ms  {one['text']}  {one['bytes']} B" for one in packets[:_MOST_PACKETS])
        more = f"\nand {len(packets) - _MOST_PACKETS} more" if len(packets) > _MOST_PACKETS else ""
        yield f'<pre tabindex="0" aria-label="Packets at {escape(where)}">{escape(rows + more)}</pre>'


def _identities(hop: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    """Of the pods whose proxies or names the hop's log lines tell."""
    text = " ".join(finding["observed"] for finding in hop["findings"] if finding["kind"] == "log")
    found = [pod for pod in data["topology"]["pods"] if pod["identity"] in text]
    if found:
        items = "".join(f"<dt>{escape(pod['name'])}</dt><dd>{escape(pod['identity'])}</dd>" for pod in found)
        yield f"<h3>Identities, by certificate</h3><dl>{items}</dl>"
