"""What `explain` says: which hop, why, by what evidence, what to do; for people and for programs [pure]."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from lab_py.explain.causes import BESIDE, causes
from lab_py.explain.scene import broken_hop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab_py.explain.causes import Cause
    from lab_py.explain.scene import Scene
    from lab_py.hops.base import HopFound

WIDTH = 100
_NOT_KNOWN = (
    "nothing that was looked at differs from the design: rules, routes, devices, settings, processes, certificates"
)

Told = dict[str, Any]


def judge_scene(scene: Scene) -> Told:
    """The explanation as a value for JSON."""
    found = [*scene.found, *scene.probes]
    index = broken_hop(found)
    known = causes(scene)
    told = _about(scene, found, index)
    if index is None:
        return told | {"ok": True, "beside": [_brief(one) for one in _beside(scene, known)]}
    blamed = _blamed(scene, index, known)
    others = [_brief(one) for one in _beside(scene, known) if blamed is None or one[0] != blamed.culprit]
    why = _NOT_KNOWN if blamed is None else blamed.why
    return told | {
        "ok": False,
        "hop": found[index].hop.number,
        "culprit": None if blamed is None else blamed.culprit,
        "why": why,
        "evidence": [*_symptoms(scene, found[index]), *(() if blamed is None else blamed.evidence)],
        "remedy": "`run --pcap` writes all of it for Wireshark" if blamed is None else blamed.remedy,
        "beside": others,
    }


def _about(scene: Scene, found: Sequence[HopFound], index: int | None) -> Told:
    request = scene.topology.request
    assert request is not None  # hops are described for requests only
    status = scene.observed.status
    outcome = f"answered {status}" if status else f"no answer: {scene.observed.answer}"
    return {
        "scenario": scene.topology.name,
        "design": scene.topology.design.value,
        "request": {"from": request.source, "to": request.service},
        "outcome": outcome,
        "hops": [_hop(number, one, index) for number, one in enumerate(found)],
    }


def _hop(number: int, one: HopFound, broken: int | None) -> Told:
    """After the broken hop nothing is judged: what is missed there follows from it."""
    state = "ok" if broken is None or number < broken else "broken" if number == broken else "behind"
    return {"hop": one.hop.number, "title": one.hop.title, "state": state}


def _blamed(scene: Scene, index: int, known: Sequence[Cause]) -> Cause | None:
    """The first cause on the way to the broken hop; of a probe, what only probes need."""
    if index >= len(scene.hops):
        return next((one for one in known if one.culprit.partition("/")[2] in BESIDE), None)
    near = scene.namespaces(index)
    needed = [one for one in known if one.culprit.partition("/")[2] not in BESIDE]
    return next((one for one in needed if one.namespace in near), needed[0] if needed else None)


def _beside(scene: Scene, known: Sequence[Cause]) -> Iterator[tuple[str, str]]:
    """All else that is not as it should be, harmful or not."""
    said = {one.culprit: one.why for one in scene.differences} | {one.culprit: one.why for one in known}
    return iter(said.items())


def _brief(one: tuple[str, str]) -> Told:
    return {"what": one[0], "why": one[1]}


def _symptoms(scene: Scene, hop: HopFound) -> Iterator[str]:
    """What the caller got, where the request was seen last, and what the hop lacks."""
    status, answer = scene.observed.status, " ".join(scene.observed.answer.split())
    yield f"the caller: {f'status {status}' if status else 'no answer'}" + (
        "" if status == 200 else f", {answer[:160]}"
    )
    yield from dict.fromkeys(scene.refusals)
    for finding in hop.findings:
        if not finding.is_so:
            yield f"{finding.kind} {finding.where}: {finding.observed}; expected {finding.expected}"


def as_lines(told: Told, styled: Callable[..., str]) -> Iterator[str]:
    """For people, in lines of at most 100 characters.

    Args:
        styled: gives a text a style such as `green`, where colours are shown.
    """
    request = told["request"]
    yield f"{styled(request['from'] + ' calls ' + request['to'], 'bold')} ({told['design']}): {told['outcome']}"
    yield ""
    marks = {"ok": styled("ok", "green"), "broken": styled("NO", "red", "bold"), "behind": styled("..", "dim")}
    for hop in told["hops"]:
        head, *rest = textwrap.wrap(f"({hop['hop']}) {hop['title']}", WIDTH - 3)
        yield f"{marks[hop['state']]} {head}"
        yield from (f"       {line}" for line in rest)
    yield ""
    if told["ok"]:
        yield styled("healthy: every hop was observed", "green", "bold")
    else:
        yield styled(f"broken at ({told['hop']}): {told['culprit'] or 'nobody knows by what'}", "red", "bold")
        yield from _entry("why", [told["why"]], styled)
        yield from _entry("evidence", told["evidence"], styled)
        yield from _entry("to do", [told["remedy"]], styled)
    if told["beside"]:
        harm = "not as designed, and no harm to this request" if told["ok"] else "also not as designed"
        yield from _entry(harm, [f"{one['what']}: {one['why']}" for one in told["beside"]], styled)


def _entry(name: str, texts: Sequence[str], styled: Callable[..., str]) -> Iterator[str]:
    yield f"  {styled(name, 'bold')}"
    for text in texts:
        yield from textwrap.wrap(text, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
