"""One picture of a run, as PNG and SVG: bars are medians, whiskers the spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.metrics import Metric, metric_named
from benchmarks.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.plan import Scenario
    from benchmarks.summary import Summary

_PANELS = (
    (Kind.BULK, "gbit_s"),
    (Kind.BULK, "cpu_s_per_gb"),
    (Kind.RR, "per_second"),
    (Kind.RR, "p50_us"),
    (Kind.CONNECT, "per_second"),
    (Kind.CONNECT, "cpu_us_per_op"),
    (Kind.HTTP, "per_second"),
    (Kind.HTTP, "p50_us"),
)
_TITLES = {Kind.BULK: "bulk", Kind.RR: "round trips", Kind.CONNECT: "new tunnels", Kind.HTTP: "HTTP"}
_COLOURS = {"ours": ["#1f5fa8"], "envoy": ["#e08a2e", "#f2c188"], "foreign": ["#3f8f5b"], "direct": ["#b5b5b5"]}


def draw(summary: Summary, scenarios: Sequence[Scenario], folder: Path) -> list[Path]:
    """Writes overview.png and overview.svg into `folder`."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"  # the same run gives the same file
    from matplotlib import pyplot

    panels = [(kind, key) for kind, key in _PANELS if any(s.kind is kind for s in scenarios)]
    rows = (len(panels) + 1) // 2
    figure, axes = pyplot.subplots(rows, 2, figsize=(12, 3.4 * rows), squeeze=False, layout="constrained")
    for axis, (kind, key) in zip(axes.flat, panels, strict=False):
        _panel(axis, summary, [s for s in scenarios if s.kind is kind], metric_named(key))
        axis.set_title(f"{_TITLES[kind]}: {metric_named(key).title}", fontsize=10)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    paths = [folder / "overview.png", folder / "overview.svg"]
    for path in paths:
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
    return paths


def _panel(axis: Any, summary: Summary, scenarios: Sequence[Scenario], metric: Metric) -> None:
    """A group of bars for each scenario, a bar for each contestant. `direct` would dwarf the rest: left out."""
    names = [name for name in summary.contestants() if name != "direct"]
    width = 0.8 / max(len(names), 1)
    for place, (name, colour) in enumerate(zip(names, _colours(summary, names), strict=True)):
        for number, scenario in enumerate(scenarios):
            figure = summary.figure(scenario.name, name, metric.key)
            if figure is None:
                continue
            whiskers = [[figure.median - figure.low], [figure.high - figure.median]]
            at = number - 0.4 + width * (place + 0.5)
            label = name if number == 0 else None
            axis.bar(at, figure.median, width * 0.9, color=colour, label=label, yerr=whiskers, ecolor="#444444")
    axis.set_xticks(range(len(scenarios)), [s.name for s in scenarios], fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.yaxis.set_major_formatter("{x:,g}")


def _colours(summary: Summary, names: Sequence[str]) -> list[str]:
    used: dict[str, int] = {}
    found = []
    for name in names:
        peer = next(peer for peer in _COLOURS if name in summary.contestants(peer))
        shades = _COLOURS[peer]
        found.append(shades[used.get(peer, 0) % len(shades)])
        used[peer] = used.get(peer, 0) + 1
    return found
