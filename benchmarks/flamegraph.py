"""A flame graph as SVG: width is share of samples, colour is the step of the work. Pure; opens in any browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.steps import ORDER, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.steps import Stack

_WIDTH, _ROW, _TOP, _LEGEND_ROW = 1200, 17, 46, 18
_LEAST_WIDTH = 0.6
_CHARACTER = 6.3
_COLOURS = (
    *("#b8b8b8", "#6aaed6", "#3d8bc4", "#8fc3e3", "#9a7fc1", "#7fbf9c", "#e8a14c"),
    *("#e27d60", "#d9b44a", "#8fb35a", "#c98bb0", "#c4a484", "#dddddd"),
)
_COLOUR = dict(zip(ORDER, _COLOURS, strict=True))


@dataclass(slots=True)
class _Node:
    """One function, called from one place."""

    name: str
    step: str
    count: int = 0
    callees: dict[str, _Node] = field(default_factory=dict)


def flame_graph(title: str, stacks: Mapping[Stack, int], source: Callable[[str, int], str]) -> str:
    """The picture; hovering over a function tells its share."""
    root = _tree(stacks, source)
    depth = _depth(root)
    legend = [step for step in ORDER if step in _steps(root)]
    rows = -(-len(legend) // 3)
    height = _TOP + (depth + 1) * _ROW + 12 + rows * _LEGEND_ROW
    boxes = "".join(_boxes(root, root.count or 1, 0.0, 0, _TOP + depth * _ROW))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="monospace"'
        f' font-size="11">\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="{_WIDTH / 2}" y="22" text-anchor="middle" font-size="15">{escape(title)}</text>\n'
        f'<text x="{_WIDTH / 2}" y="38" text-anchor="middle" fill="#666666">{root.count:,} samples</text>\n'
        f"{boxes}{_legend(legend, _TOP + (depth + 1) * _ROW + 20)}</svg>\n"
    )


def _tree(stacks: Mapping[Stack, int], source: Callable[[str, int], str]) -> _Node:
    """Functions by file; a system call, which the text of the innermost line tells, stands on top by itself."""
    root = _Node("all", "")
    for stack, count in stacks.items():
        node = root
        node.count += count
        shown = _worth_showing(stack)
        for frame in shown:
            node = _called(node, f"{frame.function} ({frame.file})", frame.function, step_of(frame, ""), count)
        step = step_of(shown[-1], source(shown[-1].file, shown[-1].line))
        if step != node.step:
            _called(node, step, step.rpartition(": ")[2], step, count)
    return root


def _called(caller: _Node, key: str, name: str, step: str, count: int) -> _Node:
    node = caller.callees.setdefault(key, _Node(name, step))
    node.count += count
    return node


def _worth_showing(stack: Stack) -> Stack:
    """Without what only starts the program: everything up to the event loop's run."""
    for place, frame in enumerate(stack):
        if frame.function == "Runner.run":
            return stack[place:]
    return stack


def _depth(node: _Node) -> int:
    return 1 + max((_depth(callee) for callee in node.callees.values()), default=0)


def _steps(node: _Node) -> set[str]:
    return {node.step}.union(*(_steps(callee) for callee in node.callees.values()))


def _boxes(node: _Node, whole: int, x: float, level: int, bottom: int) -> Iterator[str]:
    width = node.count / whole * _WIDTH
    if width < _LEAST_WIDTH:
        return
    y = bottom - level * _ROW
    room = int((width - 4) / _CHARACTER)
    shown = node.name if len(node.name) <= room else node.name[: max(room - 1, 0)] + "…" * (room > 2)
    colour = _COLOUR.get(node.step, "#f2f2f2")
    yield (
        f"<g><title>{escape(node.name)}: {100 * node.count / whole:.1f} % ({escape(node.step)})</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_ROW - 1}" fill="{colour}" rx="1"/>'
        f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(shown) if room > 2 else ""}</text></g>\n'
    )
    for callee in sorted(node.callees.values(), key=lambda one: one.name):
        yield from _boxes(callee, whole, x, level + 1, bottom)
        x += callee.count / whole * _WIDTH


def _legend(steps: list[str], top: int) -> str:
    parts = []
    for place, step in enumerate(steps):
        x, y = 12 + place % 3 * (_WIDTH // 3), top + place // 3 * _LEGEND_ROW
        parts.append(
            f'<rect x="{x}" y="{y - 9}" width="11" height="11" fill="{_COLOUR[step]}"/>'
            f'<text x="{x + 17}" y="{y}">{escape(step)}</text>\n'
        )
    return "".join(parts)
