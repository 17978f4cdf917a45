"""The page of a run: tables in Markdown, made from the same values as the JSON. Pure."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.machine import DISTURBED_CORES
from benchmarks.metrics import HEADLINE, Metric, metric_named
from benchmarks.plan import ROLES, Kind
from benchmarks.summary import OURS, RIVAL, Figure, Summary, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.plan import Scenario


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads well as plain text too."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def figures_table(summary: Summary, scenarios: Sequence[Scenario]) -> str:
    """One row for each scenario and metric: medians with their spread, and ours to the rival's."""
    names = summary.contestants()
    rows = []
    for scenario in scenarios:
        for metric in HEADLINE[scenario.kind]:
            figures = [summary.figure(scenario.name, name, metric.key) for name in names]
            cells = [_figure(figure, metric) for figure in figures]
            rows.append([scenario.title, metric.title, *cells, _ratio(summary, scenario, metric)])
    return table(["scenario", "figure", *names, f"{OURS} / {RIVAL}"], rows)


def _figure(figure: Figure | None, metric: Metric) -> str:
    if figure is None:
        return "-"
    if figure.low == figure.high:
        return metric.write(figure.median)
    return f"{metric.write(figure.median)} ({metric.write(figure.low)}–{metric.write(figure.high)})"


def _ratio(summary: Summary, scenario: Scenario, metric: Metric) -> str:
    ratio = summary.ratio(scenario.name, metric)
    return "-" if ratio is None else f"{ratio.value:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


def verdicts_table(verdicts: Sequence[Verdict], scenarios: Sequence[Scenario]) -> str:
    """The targets, and whether each was met."""
    titles = {scenario.name: scenario.title for scenario in scenarios}
    rows = []
    for verdict in verdicts:
        target = verdict.target
        wanted = f"{'at least' if target.at_least else 'at most'} {target.ratio:g}"
        measured = "-" if verdict.ratio is None else f"{verdict.ratio.value:.2f}"
        word = {True: "pass", False: "MISS", None: "no figure"}[verdict.met]
        metric = metric_named(target.metric).title
        rows.append([titles.get(target.scenario, target.scenario), metric, wanted, measured, word])
    return table(["scenario", "figure", f"{OURS} / {RIVAL}", "measured", ""], rows)


def details_table(summary: Summary, scenarios: Sequence[Scenario]) -> str:
    """CPU of each process, split by the kernel's accounting, and resident memory at the end of a measurement."""
    rows = []
    for scenario in scenarios:
        if scenario.kind is Kind.IDLE:
            continue
        unit = "s_per_gb" if "gbit_s" in {m.key for m in HEADLINE[scenario.kind]} else "us_per_op"
        digits = 2 if unit == "s_per_gb" else 1
        roles = ROLES[scenario.form]
        keys = [f"cpu_user_{unit}", f"cpu_system_{unit}", *(f"{role}_cpu_{unit}" for role in roles)]
        for name in summary.contestants():
            used = [summary.figure(scenario.name, name, key) for key in keys]
            held = [summary.figure(scenario.name, name, f"{role}_rss_mb") for role in roles]
            if any(used):
                user, system, *each = (f"{one.median:.{digits}f}" if one else "-" for one in used)
                memory = " + ".join(f"{one.median:.0f}" if one else "-" for one in held)
                said = unit.replace("_per_", " per ").replace("gb", "GB")
                rows.append([scenario.title, name, said, user, system, " + ".join(each), memory])
    return table(["scenario", "proxies", "CPU", "user", "kernel", "each proxy", "RSS MB"], rows)


def report(document: dict[str, Any], summary: Summary, scenarios: Sequence[Scenario], plots: Sequence[str]) -> str:
    """The whole page. `document` is the JSON of the run, `plots` are links to pictures."""
    settings = document["settings"]
    parts = [
        "# Benchmark report",
        "Made by `python -m benchmarks`; do not edit. Medians of alternating rounds, the spread in brackets;"
        " the ratio is of the medians, in brackets its spread within the rounds. Of several variants of a peer the"
        " better one counts, figure by figure. CPU is of both proxies together, without generator and application.",
        "## Targets",
        verdicts_table(summary.verdicts(), scenarios) if summary.verdicts() else _no_verdicts(summary),
        "## Figures",
        figures_table(summary, scenarios),
        *(f"![figures of the run]({plot})" for plot in plots),
        "## CPU and memory",
        details_table(summary, scenarios),
        "## Who ran, and how",
        _contestants(document),
        _manner(settings),
        "## Machine",
        table(["", ""], [[title, value] for title, value in document["machine"].items()]),
        _disturbance(document),
        *_failures(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _no_verdicts(summary: Summary) -> str:
    missing = [peer for peer in (OURS, RIVAL) if not summary.contestants(peer)]
    return f"Not judged: {' and '.join(missing)} did not take part." if missing else "No target in these scenarios."


def _contestants(document: dict[str, Any]) -> str:
    facts: list[dict[str, str]] = document["contestants"]
    return table(list(facts[0]), [list(fact.values()) for fact in facts]) if facts else ""


def _manner(settings: dict[str, Any]) -> str:
    return (
        f"{settings['rounds']} rounds of {settings['seconds']:g} s a measurement; topology {settings['topology']},"
        f" capture by {settings['capture']}; one worker each. Round trips and new tunnels come from the project's own"
        " compiled generator; a new tunnel is connect, 64 bytes there and back, and a clean end of both directions."
        " `direct` is the same generator and application without a proxy: what they can do by themselves here."
    )


def _disturbance(document: dict[str, Any]) -> str:
    loads = [record["other_cores"] for record in document["samples"] if "other_cores" in record]
    if not loads:
        return ""
    disturbed = sum(load > DISTURBED_CORES for load in loads)
    return (
        f"Other programs used {statistics.median(loads):.2f} cores in the median measurement, {max(loads):.2f} in the"
        f" worst; above {DISTURBED_CORES} cores in {disturbed} of {len(loads)} measurements."
    )


def _failures(summary: Summary) -> list[str]:
    failures = [f"- round {s.round}, {s.scenario}, {s.contestant}: {s.error}" for s in summary.errors()]
    return ["## Failed measurements", "\n".join(failures)] if failures else []
