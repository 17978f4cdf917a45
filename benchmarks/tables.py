"""The tables of the page, in Markdown. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.metrics import HEADLINE, Metric, metric_named
from benchmarks.plan import ROLES, Code, Kind
from benchmarks.scenarios import COMPILED
from benchmarks.summary import OURS, RIVAL, Figure, Summary, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.floors import Floor
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
    names = [name for name in summary.contestants() if any(_took_part(summary, s, name) for s in scenarios)]
    rows = []
    for scenario in scenarios:
        for metric in HEADLINE[scenario.kind]:
            figures = [summary.figure(scenario.name, name, metric.key) for name in names]
            if any(figures):
                cells = [_figure(figure, metric) for figure in figures]
                rows.append([scenario.title, metric.title, *cells, _ratio(summary, scenario, metric)])
    return table(["scenario", "figure", *names, f"{OURS} / {RIVAL}"], rows)


def _took_part(summary: Summary, scenario: Scenario, name: str) -> bool:
    return any(summary.figure(scenario.name, name, metric.key) for metric in HEADLINE[scenario.kind])


def _figure(figure: Figure | None, metric: Metric) -> str:
    if figure is None:
        return "-"
    if figure.low == figure.high:
        return metric.write(figure.median)
    return f"{metric.write(figure.median)} ({metric.write(figure.low)}–{metric.write(figure.high)})"


def _ratio(summary: Summary, scenario: Scenario, metric: Metric) -> str:
    ratio = summary.ratio(scenario.name, metric)
    return "-" if ratio is None else f"{ratio.value:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


def verdicts_table(judged: Sequence[Mapping[Code, Verdict]], scenarios: Sequence[Scenario]) -> str:
    """The targets, and what became of each in every form that was measured."""
    titles = {scenario.name: scenario.title for scenario in scenarios}
    codes = [code for code in Code if any(code in row for row in judged)]
    rows = []
    for row in judged:
        target = next(iter(row.values())).target
        metric, bound = metric_named(target.metric), "≥" if target.at_least else "≤"
        bounds = [f"{bound} {target.must:g}", f"{bound} {target.goal:g}"]
        cells = [cell for code in codes for cell in _judged(row.get(code), metric)]
        title = titles.get(target.scenario, target.scenario)
        rows.append([title, metric.title, *bounds, _others(list(row.values()), metric), *cells])
    forms = [cell for code in codes for cell in (f"{OURS}, {code}", "ratio", "verdict")]
    return table(["scenario", "figure", "must", "goal", f"against {RIVAL}", *forms], rows)


def _judged(verdict: Verdict | None, metric: Metric) -> tuple[str, str, str]:
    """The cells of one form: its figure, what is judged, and the word."""
    if verdict is None:
        return "-", "-", "-"
    ours = "-" if verdict.ours is None else metric.write(verdict.ours)
    return ours, "-" if verdict.value is None else f"**{verdict.value:.2f}**", verdict.word


def _others(verdicts: Sequence[Verdict], metric: Metric) -> str:
    """What the target compares with: the rival's figure, or for each form that of its own single worker."""
    against = verdicts[0].target.against
    if against is None:
        return "by itself"
    said = ["-" if verdict.theirs is None else metric.write(verdict.theirs) for verdict in verdicts]
    if against == RIVAL:
        return said[0]
    own = "" if verdicts[0].rivals_own is None else f"; {RIVAL}'s own ratio {verdicts[0].rivals_own:.2f}"
    return f"{' / '.join(said)} (1 worker){own}"


def details_table(summary: Summary, scenarios: Sequence[Scenario]) -> str:
    """CPU of each process, split by the kernel's accounting, and resident memory at the end of a measurement."""
    rows = []
    for scenario in scenarios:
        if scenario.kind in (Kind.IDLE, Kind.BESIDE):
            continue
        unit = "s_per_gb" if "gbit_s" in {m.key for m in HEADLINE[scenario.kind]} else "us_per_op"
        digits = 2 if unit == "s_per_gb" else 1
        for name in summary.contestants():
            user = summary.figure(scenario.name, name, f"cpu_user_{unit}")
            system = summary.figure(scenario.name, name, f"cpu_system_{unit}")
            if user is None or system is None:
                continue
            roles = [r for r in ROLES[scenario.stage.form] if summary.figure(scenario.name, name, f"{r}_cpu_{unit}")]
            rows.append(
                [
                    scenario.title,
                    name,
                    unit.replace("_per_", " per ").replace("gb", "GB"),
                    f"{user.median:.{digits}f}",
                    f"{system.median:.{digits}f}",
                    _joined(summary, scenario, name, [f"{role}_cpu_{unit}" for role in roles], digits),
                    _joined(summary, scenario, name, [f"{role}_rss_mb" for role in roles], 0),
                ]
            )
    return table(["scenario", "who", "CPU", "user", "kernel", "each proxy", "RSS MB"], rows)


def _joined(summary: Summary, scenario: Scenario, name: str, keys: Sequence[str], digits: int) -> str:
    figures = [summary.figure(scenario.name, name, key) for key in keys]
    return " + ".join(f"{figure.median:.{digits}f}" for figure in figures if figure) or "-"


def floors_table(summary: Summary, floors: Sequence[Floor]) -> str:
    """The least that is possible here, and how near each comes to it."""
    peers = [peer for peer in (OURS, COMPILED, RIVAL) if summary.contestants(peer)]
    rows = []
    for floor in floors:
        metric = metric_named(floor.metric)
        cells = []
        for peer in peers:
            figure = summary.best_figure(floor.scenario.name, peer, metric)
            share = f"{metric.write(figure.median)}: {100 * floor.value / figure.median:.0f} %" if figure else "-"
            cells.append(share)
        rows.append([floor.scenario.title, metric.title, metric.write(floor.value), *cells])
    return table(["scenario", "figure", "limit", *peers], rows)
