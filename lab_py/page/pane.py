"""One run on the page: its picture, its hops as buttons, and of each hop what was seen [pure]."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from lab_py.page.drawing import drawing
from lab_py.topology import Design

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Counterparts = dict[str, list[str]]
"""By hop: those of the other design in its place."""

_NAMES = {
    Design.TUNNELS.value: ("Istio 1.18", "marks and Geneve tunnels on the node"),
    Design.IN_POD.value: ("Today", "rules and ztunnel's sockets inside the pods"),
}
_KINDS = {
    "packet": "Packets",
    "counter": "Rules and their counters",
    "log": "Log lines",
    "call": "What the application knows of its caller",
}
_MOST_PACKETS = 40
"""Of one device that are listed; the capture file has all of them."""


def design_name(run: Mapping[str, Any]) -> str:
    """What people call the run's design."""
    return _NAMES[run["topology"]["design"]][0]


def pane(run: Mapping[str, Any], others: Counterparts) -> Iterator[str]:
    """All of a run.

    Args:
        others: of each hop, those in its place in the run beside it.
    """
    design = escape(run["topology"]["design"])
    name, what = _NAMES[run["topology"]["design"]]
    yield f'<section class="pane" data-design="{design}" aria-label="{escape(name)}">'
    yield f'<div class="head"><h2>{escape(name)} <small>{escape(what)}</small></h2>'
    yield f"<p>{_summary(run)}</p><ol>"
    yield from (_button(hop) for hop in run["hops"])
    yield "</ol></div>"
    yield f'<div class="stage"><figure tabindex="0" aria-label="The picture: {escape(name)}">{drawing(run)}</figure>'
    yield '<div class="seen" aria-live="polite">'
    for hop in run["hops"]:
        yield from _article(hop, run, others.get(hop["hop"], ()))
    yield '<p class="none" hidden>Nothing stands in the place of that hop here.</p></div></div></section>'


def _summary(run: Mapping[str, Any]) -> str:
    missing = [f"({escape(hop['hop'])})" for hop in run["hops"] if not hop["ok"]]
    good = f"all {len(run['hops'])} hops observed as predicted"
    text = f"not observed as predicted: {', '.join(missing)}" if missing else good
    times = run.get("times", {})
    taken = f"; first request judged after {times['first_request']:.1f} s" if times else ""
    machine = escape(str(run.get("machine", "")))
    return f'<strong class="{"bad" if missing else "good"}">{text}</strong> <span>{machine}{taken}</span>'


def _button(hop: Mapping[str, Any]) -> str:
    number, title = escape(hop["hop"]), escape(hop["title"])
    state = "" if hop["ok"] else ' class="bad"'
    spoken = f"Hop {number}: {title}" + ("" if hop["ok"] else " (not observed)")
    return f'<li><button type="button" data-go="{number}"{state} aria-label="{spoken}">{number}</button></li>'


def _article(hop: Mapping[str, Any], run: Mapping[str, Any], others: Sequence[str]) -> Iterator[str]:
    number = escape(hop["hop"])
    yield f'<article data-hop="{number}" data-with="{escape(" ".join(others))}">'
    yield f'<h3><span class="number">{number}</span> {escape(hop["title"])}</h3>'
    for kind, title in _KINDS.items():
        findings = [finding for finding in hop["findings"] if finding["kind"] == kind]
        if findings:
            yield f"<h4>{title}</h4><ul>"
            for finding in findings:
                yield from _finding(finding, hop, run)
            yield "</ul>"
    yield from _identities(hop, run)
    yield from _instead(run, others)
    yield "</article>"


def _instead(run: Mapping[str, Any], others: Sequence[str]) -> Iterator[str]:
    """Where only one design is to be seen, a way to the other's hops in this one's place."""
    if others:
        name = next(name for design, (name, _) in _NAMES.items() if design != run["topology"]["design"])
        numbers = "".join(f'<button type="button" data-other="{escape(one)}">{escape(one)}</button>' for one in others)
        yield f'<p class="instead"><span>{escape(name)}, in its place:</span> {numbers}</p>'


def _finding(finding: Mapping[str, Any], hop: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    state, mark = ("good", "✓") if finding["ok"] else ("bad", "✗")
    said = "as predicted" if finding["ok"] else "not as predicted"
    where = escape(finding["where"])
    yield f'<li class="{state}"><span class="mark" role="img" aria-label="{said}">{mark}</span> <b>{where}</b>'
    yield f"<dl><dt>seen</dt><dd>{escape(finding['observed'])}</dd>"
    yield f"<dt>expected</dt><dd>{escape(finding['expected'])}</dd>"
    rule = run.get("rules", {}).get(finding["where"]) if finding["kind"] == "counter" else None
    if rule:
        yield f"<dt>rule</dt><dd><code>{escape(rule)}</code></dd>"
    yield "</dl>"
    if finding["kind"] == "packet":
        yield from _packets(finding["where"], hop["hop"], run)
    yield "</li>"


def _packets(where: str, number: str, run: Mapping[str, Any]) -> Iterator[str]:
    packets = [one for one in run.get("packets", {}).get(where, ()) if number in one["hops"]]
    if packets:
        rows = "\n".join(f"{one['ms']:9.3f} ms  {one['text']}  {one['bytes']} B" for one in packets[:_MOST_PACKETS])
        more = f"\nand {len(packets) - _MOST_PACKETS} more" if len(packets) > _MOST_PACKETS else ""
        yield f'<pre tabindex="0" aria-label="Packets at {escape(where)}">{escape(rows + more)}</pre>'


def _identities(hop: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    """Of the pods whose proxies or names the hop's log lines tell."""
    text = " ".join(finding["observed"] for finding in hop["findings"] if finding["kind"] == "log")
    found = [pod for pod in run["topology"]["pods"] if pod["identity"] in text]
    if found:
        items = "".join(f"<dt>{escape(pod['name'])}</dt><dd>{escape(pod['identity'])}</dd>" for pod in found)
        yield f"<h4>Identities, by certificate</h4><dl>{items}</dl>"
