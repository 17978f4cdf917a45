"""Pictures of a run, as PNG and SVG: how we stand to the targets, and the figures themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.contestants import DIRECT
from benchmarks.floors import floors
from benchmarks.metrics import metric_named
from benchmarks.plan import Code, Form, Kind
from benchmarks.scenarios import COMPILED, COMPILED_TWO_WORKERS, ENVOY_TWO_WORKERS, TWO_WORKERS, WORKER_PAIRS
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
    TWO_WORKERS: ["#1f5fa8"],
    COMPILED_TWO_WORKERS: ["#5aa2d8"],
    RIVAL: ["#e08a2e", "#f2c188"],
    ENVOY_TWO_WORKERS: ["#e08a2e"],
    "foreign": ["#3f8f5b"],
}
_HATCH = dict.fromkeys(WORKER_PAIRS.values(), "///")
"""Two workers have the colour of the one that they stand beside."""
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
_WORKER_PANELS: tuple[tuple[str, Callable[[Scenario], bool], str], ...] = (
    ("1 and 2 workers", lambda s: s.kind is Kind.RR, "per_second"),
    ("1 and 2 workers", lambda s: s.kind is Kind.RR, "cpu_us_per_op"),
    ("1 and 2 workers", lambda s: s.kind is Kind.CONNECT, "cpu_us_per_op"),
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
    """A row for each target: how many times as good as it must be, each form of ours, and where the goal is."""
    from matplotlib import pyplot

    rows = [[verdict for verdict in row.values() if verdict.value] for row in summary.judged()]
    rows = [row for row in rows if row]
    if not rows:
        return None
    figure, axis = pyplot.subplots(figsize=(11, 1.8 + 0.36 * len(rows)), layout="constrained")
    for number, row in enumerate(rows):
        for verdict in row:
            _mark(axis, verdict, number + (len(row) > 1) * _PLACES[verdict.code])
        axis.plot([_goal(row[0])] * 2, [number - 0.35, number + 0.35], color="#333333", linewidth=1, zorder=1)
        if own := row[0].rivals_own:
            axis.plot(_standing(replace(row[0], value=own)), number, **_RIVALS_OWN)
    axis.axvline(1, color="#333333", linewidth=1)
    labels = [f"{row[0].target.scenario}: {metric_named(row[0].target.metric).title}" for row in rows]
    axis.set_yticks(range(len(rows)), labels, fontsize=8)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xscale("log")
    least = min(_shown(_standing(verdict)) for row in rows for verdict in row)
    axis.set_xlim(0.8 * min(least, 0.7), 1.25 * _EDGE)
    ticks = [tick for tick in (0.25, 0.5, 0.7, 1, 1.4, 2, 4) if tick >= axis.get_xlim()[0]]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel(
        f"times as good as it must be (line at 1), {_EDGE} at most shown; the short line is the goal", fontsize=9
    )
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title("Targets: ours beside Envoy in the same run", fontsize=11)
    _explain(axis, {verdict.code for row in rows for verdict in row}, any(row[0].rivals_own for row in rows))
    return figure


_RIVALS_OWN: dict[str, Any] = {"marker": "|", "color": "#e08a2e", "markersize": 17, "markeredgewidth": 2.5}
"""Where the rival's own two workers would stand, had they a target."""
_MARKERS = {Code.PLAIN: "o", Code.COMPILED: "D"}
_PLACES = {Code.PLAIN: -0.18, Code.COMPILED: 0.18}
"""Above and below the middle of the row, where both forms have a mark in it."""
_EDGE = 4
"""How many times as good or as bad the picture shows; what lies beyond has its mark at the edge."""


def _mark(axis: Any, verdict: Verdict, at: float) -> None:
    standing, colour = _standing(verdict), _WORDS[verdict.word]
    shown = _shown(standing)
    axis.plot([1, shown], [at, at], color=colour, linewidth=3, solid_capstyle="butt")
    axis.plot(shown, at, _MARKERS[verdict.code], color=colour, markersize=5)
    beside, side = ((7, -2.8), "left") if verdict.word is not Word.MISS else ((-7, -2.8), "right")
    text = f"{standing:.2f}" + " →" * (standing > shown)
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # the goal's line ends at a number
    axis.annotate(text, (shown, at), beside, textcoords="offset points", fontsize=7, ha=side, bbox=ground)


def _shown(standing: float) -> float:
    return min(max(standing, 1 / _EDGE), _EDGE)


def _explain(axis: Any, codes: set[Code], has_rivals_own: bool) -> None:
    """What marks and colours mean, below the picture."""
    grey = {"color": "#666666", "linestyle": "none"}
    shown = [axis.plot([], [], _MARKERS[code], **grey)[0] for code in Code if code in codes]
    words = (Word.GOAL, Word.MUST, Word.MISS)
    shown += [axis.plot([], [], color=_WORDS[word], linewidth=3)[0] for word in words]
    labels = [*(code.value for code in Code if code in codes), *(word.value for word in words)]
    if has_rivals_own:
        shown.append(axis.plot([], [], linestyle="none", **_RIVALS_OWN)[0])
        labels.append(f"{RIVAL}'s own two workers, for comparison")
    axis.figure.legend(shown, labels, loc="outside lower center", ncols=len(shown), fontsize=8, frameon=False)


def _standing(verdict: Verdict) -> float:
    value, must = verdict.value or 1e-9, verdict.target.must
    return value / must if verdict.target.at_least else must / value


def _goal(verdict: Verdict) -> float:
    must, goal = verdict.target.must, verdict.target.goal
    return goal / must if verdict.target.at_least else must / goal


def _overview(summary: Summary, scenarios: Sequence[Scenario], limits: Mapping[str, Any]) -> Any:
    from matplotlib import pyplot

    single = [s for s in scenarios if not (s.for_workers or (s.stage.apart and s.kind is not Kind.CONNECT))]
    panels = _panels(_PANELS, summary, single)
    panels += _panels(_WORKER_PANELS, summary, [s for s in scenarios if s.for_workers])
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


def _panels(
    asked: Sequence[tuple[str, Callable[[Scenario], bool], str]], summary: Summary, scenarios: Sequence[Scenario]
) -> list[tuple[str, list[Scenario], Metric]]:
    """Title, scenarios and figure of each panel that has anything to show."""
    found = []
    for title, takes, key in asked:
        shown = [s for s in scenarios if takes(s) and _figures(summary, s, key)]
        if shown:
            found.append((title, shown, metric_named(key)))
    return found


def _figures(summary: Summary, scenario: Scenario, key: str) -> bool:
    return any(summary.figure(scenario.name, name, key) for name in summary.contestants() if name != DIRECT)


def _panel(
    axis: Any, summary: Summary, scenarios: Sequence[Scenario], metric: Metric, least: Mapping[tuple[str, str], float]
) -> dict[str, Any]:
    """A group of bars for each scenario, a bar for each contestant; a dash where the machine's limit is."""
    everyone = [name for name in summary.contestants() if name != DIRECT]
    names = [n for n in everyone if any(summary.figure(s.name, n, metric.key) for s in scenarios)]
    names.sort(key=lambda name: _one_worker(name))
    width, handles = 0.8 / max(len(names), 1), {}
    for place, (name, colour) in enumerate(zip(names, _colours(summary, names), strict=True)):
        for number, scenario in enumerate(scenarios):
            figure = summary.figure(scenario.name, name, metric.key)
            if figure is None:
                continue
            whiskers = [[figure.median - figure.low], [figure.high - figure.median]]
            at = number - 0.4 + width * (place + 0.5)
            look = {"color": colour, "hatch": _HATCH.get(name), "edgecolor": "white", "linewidth": 0}
            handles[name] = axis.bar(
                at, figure.median, width * 0.9, yerr=whiskers, ecolor="#444444", error_kw=_THIN, **look
            )
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


def _one_worker(name: str) -> int:
    """Places two workers beside the one of the same proxy; everybody else stays in order of appearance."""
    order = [who for pair in WORKER_PAIRS.items() for who in pair]
    return order.index(name) if name in order else len(order)


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
