"""The page of a run, in Markdown, made from the same values as the JSON: verdicts first. Pure."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.floors import floors
from benchmarks.machine import DISTURBED_CORES
from benchmarks.metrics import metric_named
from benchmarks.plan import Code, Form, Kind
from benchmarks.reasons import reasons
from benchmarks.schedule import CLOSE
from benchmarks.summary import OURS, RIVAL, Summary, Verdict, Word
from benchmarks.tables import details_table, figures_table, floors_table, table, verdicts_table
from benchmarks.workers import explain_cores, worker_ratios, workers_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.floors import Floor
    from benchmarks.plan import Scenario
    from benchmarks.workers import WorkerRatio

_WORKERS = "Two workers beside one"
GROUPS: dict[str, Callable[[Scenario], bool]] = {
    _WORKERS: lambda s: s.for_workers,
    "Across network namespaces": lambda s: s.stage.apart and s.kind is not Kind.CONNECT,
    "Bulk": lambda s: s.kind is Kind.BULK,
    "Round trips": lambda s: s.kind in (Kind.RR, Kind.BESIDE),
    "New tunnels": lambda s: s.kind is Kind.CONNECT,
    "Idle tunnels": lambda s: s.kind is Kind.IDLE,
    "Layer 7, from sidecar to sidecar": lambda s: s.stage.form is Form.SIDECARS,
    "Layer 7, through a waypoint": lambda s: s.stage.form is Form.WAYPOINT,
}
"""The figures by heading; a scenario stands under the first that takes it."""


def report(document: Mapping[str, Any], summary: Summary, scenarios: Sequence[Scenario], plots: Sequence[str]) -> str:
    """The whole page. `document` is the JSON of the run, `plots` are links to pictures."""
    extras, cores = document.get("once", {}), document["cores"]
    least = floors(summary, extras.get("limits", {}), scenarios)
    parts = [
        "# Benchmark report",
        _INTRODUCTION,
        "## Targets",
        *_targets(summary, scenarios),
        *(f"![{plot.rpartition('/')[2].partition('.')[0]} of the run]({plot})" for plot in plots),
        *reasons(summary, scenarios, extras, least, cores),
        *_limits(summary, least, extras.get("limits", {})),
        "## Figures",
        _FIGURES,
        *_groups(summary, scenarios, cores),
        *_once(extras),
        "## CPU and memory",
        details_table(summary, scenarios),
        "## Who ran, and how",
        _contestants(document),
        _manner(document["settings"]),
        _again(document["samples"]),
        "## Machine",
        table(["", ""], [[title, value] for title, value in document["machine"].items()]),
        _disturbance(document),
        *_failures(document, summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_INTRODUCTION = (
    "Made by `make bench` (`python -m benchmarks`); do not edit. Our proxies and the real Envoy, in turn, in one run,"
    " with the same certificates, the same logging and the same compiled load generator. [How it is measured]"
    "(../docs/benchmark.md). All raw rounds: [benchmark.json](results/benchmark.json)."
)
_OWN_RATIOS = (
    "Each proxy's two workers to its own one, Envoy's too, which are threads of one process: no target is about them;"
    " their ratio says what a second worker costs on this machine whoever it is."
)
_FIGURES = (
    "Medians of alternating rounds, the spread in brackets; the ratio is of the medians, in brackets its spread within"
    " the rounds. Of Envoy's variants the better one counts, figure by figure. CPU is of the proxies alone;"
    " `direct` is the same generator and application without a proxy, and its CPU that of both."
)


def _targets(summary: Summary, scenarios: Sequence[Scenario]) -> list[str]:
    judged = summary.judged()
    if not judged:
        missing = [peer for peer in (OURS, RIVAL) if not summary.contestants(peer)]
        return [f"Not judged: {' and '.join(missing)} did not take part." if missing else "No target was measured."]
    said = "; ".join(f"{code}: {_reached(summary.verdicts(code))}" for code in Code if summary.verdicts(code))
    return [f"{said}. {_FORMS[bool(summary.verdicts(Code.COMPILED))]}", verdicts_table(judged, scenarios)]


_FORMS = {
    True: "The two forms of our hot modules run the same sources ([how](../docs/performance.md#the-compiled-form)).",
    False: "The compiled form was not measured, so the plain one alone is judged; `make accelerated` builds the other.",
}


def _reached(verdicts: Sequence[Verdict]) -> str:
    words = [verdict.word for verdict in verdicts]
    goals = words.count(Word.GOAL)
    return f"{goals + words.count(Word.MUST)} of {len(words)} reached, {goals} of them as far as the goal"


def _limits(summary: Summary, found: Sequence[Floor], limits: Mapping[str, Any]) -> list[str]:
    if not found:
        return []
    bare = [
        f"AES-128-GCM {limits['aes_128_gcm_gb_s']:.1f} GB/s, AES-256-GCM {limits['aes_256_gcm_gb_s']:.1f} GB/s",
        f"TLS through memory buffers {limits['tls_encrypt_gb_s']:.1f} GB/s to encrypt,"
        f" {limits['tls_decrypt_gb_s']:.1f} GB/s to decrypt, {limits['tls_small_us']:.1f} us for both of a short one",
        *_bare(summary),
    ]
    return [
        "## The physical limit",
        f"By themselves, on this machine, one core: {'; '.join(bare)}.",
        "The limit of a figure is made of these parts alone, as if a proxy's own work were free: bulk is, for each"
        " proxy, one trip through loopback TCP, and one encryption and decryption for each leg; a round trip, a request"
        " or a new tunnel is, for each proxy, the system calls of two applications in C that talk to each other, and a"
        " TLS record each way for each leg. The percentage says how much of the figure is that limit. With many"
        " connections a pair may beat it: it joins small messages of many into one system call and one record. A small"
        " stream beside bulk waits for it even without proxies, in the kernel and for a core: that is its limit. BBR,"
        " where it is the machine's, paces loopback too, which is no limit: so `direct` runs on Reno.",
        floors_table(summary, found),
    ]


def _bare(summary: Summary) -> list[str]:
    said = []
    for name, key, words in (
        ("bulk-1-up", "gbit_s", "loopback TCP {} Gbit/s"),
        ("rr-32", "per_second", "an epoll echo in C {} round trips/s at 32 connections"),
    ):
        metric = metric_named(key)
        figure = summary.best_figure(name, "direct", metric)
        if figure:
            said.append(words.format(metric.write(figure.median)))
    return said


def _groups(summary: Summary, scenarios: Sequence[Scenario], cores: int) -> list[str]:
    parts, left = dict.fromkeys(GROUPS, ""), list(scenarios)
    for heading, takes in GROUPS.items():
        group = [scenario for scenario in left if takes(scenario)]
        left = [scenario for scenario in left if scenario not in group]
        if group:
            parts[heading] = f"### {heading}\n\n{figures_table(summary, group)}"
    parts[_WORKERS] += _beside(worker_ratios(summary, scenarios), scenarios, cores)
    first = list(GROUPS)[2:]
    return [parts[heading] for heading in (*first, *list(GROUPS)[:2])]


def _beside(ratios: Sequence[WorkerRatio], scenarios: Sequence[Scenario], cores: int) -> str:
    """Each proxy's two workers to its own one."""
    if not ratios:
        return ""
    return f"\n\n{_OWN_RATIOS} {explain_cores(cores)}\n\n{workers_table(ratios, scenarios)}"


def _once(extras: Mapping[str, Any]) -> list[str]:
    parts = []
    start, state, lab = (extras.get(name, {}) for name in ("start", "state", "lab"))
    if start and "error" not in start:
        peers = list(next(iter(start["ready"].values())))
        rows = [[form, *(f"{times[peer]:.2f}" for peer in peers)] for form, times in start["ready"].items()]
        parts += ["### Start", "Seconds from start to ready, all proxies of a form at once.", table(["", *peers], rows)]
        imports = ", ".join(f"{role} {seconds:.2f} s" for role, seconds in start["import"].items())
        parts.append(f"Of which a role imports its modules for: {imports}.")
    if state and "error" not in state:
        rows = [[name, f"{value:,.0f}" if value >= 100 else f"{value:.2f}"] for name, value in state.items()]
        parts += ["### State", "A large mesh in one proxy's memory; CPU times.", table(["", ""], rows)]
    if lab and "error" not in lab:
        said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in lab.items())
        parts += ["### Lab", f"`lab_py run ambient-to-sidecar`, from the start: {said} (the way down by itself)."]
    return parts


def _contestants(document: Mapping[str, Any]) -> str:
    facts: list[dict[str, str]] = document["contestants"]
    return table(list(facts[0]), [list(fact.values()) for fact in facts]) if facts else ""


def _manner(settings: Mapping[str, Any]) -> str:
    congestion = f"; TCP congestion control {settings['congestion']}" if settings.get("congestion") else ""
    return (
        f"{settings['rounds']} {'round' if settings['rounds'] == 1 else 'rounds'} of {settings['seconds']:g} s a"
        " measurement; topology"
        f" {settings['topology']} where the stage says loopback; capture by {settings['capture']}{congestion}; one"
        " worker each unless it says two. A new tunnel is connect, 100 bytes there and back, and a clean end of both"
        " directions."
        " In a cold pool each of 4,000 pods is called in turn, unused connections end after 0.5 s, and neither side"
        " resumes a TLS session."
    )


def _again(samples: Sequence[Mapping[str, Any]]) -> str:
    """Which scenarios had further rounds, and by what rule."""
    rounds: dict[str, set[int]] = {}
    for sample in samples:
        if sample.get("again"):
            rounds.setdefault(sample["scenario"], set()).add(sample["round"])
    if not rounds:
        return ""
    said = ", ".join(f"{name} {len(numbers)}" for name, numbers in rounds.items())
    return (
        f"In the time left, further rounds of what was within {100 * CLOSE:g} % of what it must be, below or above, of"
        f" those whom the target is about: {said}. Chosen once, the closest first; all rounds count."
    )


def _disturbance(document: Mapping[str, Any]) -> str:
    loads = [record["other_cores"] for record in document["samples"] if "other_cores" in record]
    if not loads:
        return ""
    disturbed = sum(load > DISTURBED_CORES for load in loads)
    return (
        f"Other programs used {statistics.median(loads):.2f} cores in the median measurement, {max(loads):.2f} in the"
        f" worst; above {DISTURBED_CORES} cores in {disturbed} of {len(loads)} measurements."
    )


def _failures(document: Mapping[str, Any], summary: Summary) -> list[str]:
    failures = [f"- round {s.round}, {s.scenario}, {s.contestant}: {s.error}" for s in summary.errors()]
    once: dict[str, Any] = document.get("once", {})
    failures += [f"- {name}: {found['error']}" for name, found in once.items() if "error" in found]
    return ["## Failed measurements", "\n".join(failures)] if failures else []
