"""Pictures of a run, as PNG and SVG: how we stand to the targets, and the figures themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contestants import COMPILED, DIRECT
from benchmarks.floors import floors
from benchmarks.metrics import metric_named
from benchmarks.plan import Form, Kind
from benchmarks.scenarios import TWO_WORKERS
from benchmarks.summary import OURS, RIVAL, Verdict, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.metrics import Metric
    from benchmarks.plan import Scenario
    from benchmarks.summary import Summary

_COLOURS = {
    OURS: ["#1f5fa8"],
    COMPILED: ["#5aa2d8"],
    TWO_WORKERS: ["#9fc5e8"],
    RIVAL: ["#e08a2e", "#f2c188"],
    "foreign": ["#3f8f5b"],
}
_WORDS = {Word.GOAL: "#2e8b57", Word.MUST: "#8fbc5a", Word.MISS: "#c8553d", Word.NONE: "#999999"}


def _small(scenario: Scenario) -> bool:
    return scenario.kind is Kind.RR and not scenario.awake


_PANELS: tuple[tuple[str, Callable[[Scenario], bool], str], ...] = (
    ("bulk", lambda s: s.kind is Kind.BULK, "gbit_s"),
    ("bulk", lambda s: s.kind is Kind.BULK, "cpu_s_per_gb"),
    ("round trips, many connections", lambda s: _small(s) and s.connections > 1, "per_second"),
    ("round trips, 1 connection", lambda s: _small(s) and s.connections == 1, "p50_us"),
    ("round trips", lambda s: _small(s) and s.request < 65_536, "cpu_us_per_op"),
    ("new tunnels", lambda s: s.kind is Kind.CONNECT and not s.awake, "per_second"),
    ("new tunnels", lambda s: s.kind is Kind.CONNECT and not s.awake, "cpu_us_per_op"),
    ("idle tunnels", lambda s: s.kind is Kind.IDLE, "mb_per_1000"),
    ("HTTP, waypoint chain", lambda s: s.kind is Kind.HTTP and s.stage.form is Form.WAYPOINT, "per_second"),
    ("HTTP, waypoint chain", lambda s: s.kind is Kind.HTTP and s.stage.form is Form.WAYPOINT, "cpu_us_per_op"),
    ("HTTP, sidecars", lambda s: s.kind is Kind.HTTP and s.stage.form is Form.SIDECARS, "per_second"),
    ("downloads, waypoint chain", lambda s: s.kind is Kind.DOWNLOAD, "gbit_s"),
)
_COLUMNS = 3


def draw(summary: Summary, scenarios: Sequence[Scenario], limits: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes targets and overview, each as PNG and SVG, into `folder`; a picture without anything to show is none."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"  # the same run gives the same file
    found = []
    for name, figure in (("targets", _targets(summary)), ("overview", _overview(summary, scenarios, limits))):
        if figure is not None:
            found += _save(figure, folder, name)
    return found


def _save(figure: Any, folder: Path, name: str) -> list[Path]:
    from matplotlib import pyplot

    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    for path in paths:
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
    return paths


def _targets(summary: Summary) -> Any:
    """A row for each target: how many times as good as it must be, and where the goal is."""
    from matplotlib import pyplot

    verdicts = [verdict for verdict in summary.verdicts() if verdict.value]
    if not verdicts:
        return None
    figure, axis = pyplot.subplots(figsize=(11, 1.6 + 0.24 * len(verdicts)), layout="constrained")
    for row, verdict in enumerate(verdicts):
        standing = _standing(verdict)
        axis.plot([1, standing], [row, row], color=_WORDS[verdict.word], linewidth=5, solid_capstyle="butt")
        axis.plot(standing, row, "o", color=_WORDS[verdict.word], markersize=6)
        axis.plot(_goal(verdict), row, "|", color="#333333", markersize=9)
        axis.annotate(f"{standing:.2f}", (standing, row), (7, -3.5), textcoords="offset points", fontsize=7.5)
    axis.axvline(1, color="#333333", linewidth=1)
    labels = [f"{one.target.scenario}: {metric_named(one.target.metric).title}" for one in verdicts]
    axis.set_yticks(range(len(verdicts)), labels, fontsize=8)
    axis.set_ylim(len(verdicts) - 0.4, -0.6)
    axis.set_xscale("log")
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10) if _within(tick, verdicts)]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("times as good as it must be (line at 1); the short mark is the goal", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title("Targets: ours beside Envoy in the same run", fontsize=11)
    return figure


def _standing(verdict: Verdict) -> float:
    value, must = verdict.value or 1e-9, verdict.target.must
    return value / must if verdict.target.at_least else must / value


def _goal(verdict: Verdict) -> float:
    must, goal = verdict.target.must, verdict.target.goal
    return goal / must if verdict.target.at_least else must / goal


def _within(tick: float, verdicts: Sequence[Verdict]) -> bool:
    values = [_standing(verdict) for verdict in verdicts] + [_goal(verdict) for verdict in verdicts] + [1]
    return min(values) / 2 <= tick <= max(values) * 2


def _overview(summary: Summary, scenarios: Sequence[Scenario], limits: Mapping[str, Any]) -> Any:
    from matplotlib import pyplot

    panels = []
    for title, takes, key in _PANELS:
        shown = [s for s in scenarios if takes(s) and not (s.stage.apart and s.kind is not Kind.CONNECT)]
        shown = [s for s in shown if not s.for_workers and _figures(summary, s, key)]
        if shown:
            panels.append((title, shown, metric_named(key)))
    if not panels:
        return None
    rows = -(-len(panels) // _COLUMNS)
    figure, axes = pyplot.subplots(rows, _COLUMNS, figsize=(17, 3.3 * rows), squeeze=False, layout="constrained")
    least = {(f.scenario.name, f.metric): f.value for f in floors(summary, limits, scenarios)}
    handles: dict[str, Any] = {}
    for axis, (title, shown, metric) in zip(axes.flat, panels, strict=False):
        handles |= _panel(axis, summary, shown, metric, least)
        axis.set_title(f"{title}: {metric.title}", fontsize=10)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), fontsize=9)
    return figure


def _figures(summary: Summary, scenario: Scenario, key: str) -> bool:
    return any(summary.figure(scenario.name, name, key) for name in summary.contestants() if name != DIRECT)


def _panel(
    axis: Any, summary: Summary, scenarios: Sequence[Scenario], metric: Metric, least: Mapping[tuple[str, str], float]
) -> dict[str, Any]:
    """A group of bars for each scenario, a bar for each contestant; a dash where the machine's limit is."""
    everyone = [name for name in summary.contestants() if name != DIRECT]
    names = [n for n in everyone if any(summary.figure(s.name, n, metric.key) for s in scenarios)]
    width, handles = 0.8 / max(len(names), 1), {}
    for place, (name, colour) in enumerate(zip(names, _colours(summary, names), strict=True)):
        for number, scenario in enumerate(scenarios):
            figure = summary.figure(scenario.name, name, metric.key)
            if figure is None:
                continue
            whiskers = [[figure.median - figure.low], [figure.high - figure.median]]
            at = number - 0.4 + width * (place + 0.5)
            bar = axis.bar(
                at, figure.median, width * 0.9, color=colour, yerr=whiskers, ecolor="#444444", error_kw=_THIN
            )
            handles[name] = bar
    for number, scenario in enumerate(scenarios):
        value = least.get((scenario.name, metric.key))
        if value is not None:
            (line,) = axis.plot([number - 0.45, number + 0.45], [value, value], color="#222222", linestyle=":")
            handles["limit of the machine"] = line
    angle = 30 if len(scenarios) > 4 else 0
    axis.set_xticks(range(len(scenarios)), [s.name for s in scenarios], fontsize=8, rotation=angle)
    axis.spines[["top", "right"]].set_visible(False)
    axis.yaxis.set_major_formatter("{x:,g}")
    return handles


_THIN = {"elinewidth": 0.8}


def _colours(summary: Summary, names: Sequence[str]) -> list[str]:
    used: dict[str, int] = {}
    found = []
    for name in names:
        peer = next(peer for peer in _COLOURS if name in summary.contestants(peer))
        shades = _COLOURS[peer]
        found.append(shades[used.get(peer, 0) % len(shades)])
        used[peer] = used.get(peer, 0) + 1
    return found
