"""Why a target was missed, as far as the run itself can tell: its figures beside each miss, and the profile. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contestants import DIRECT
from benchmarks.metrics import metric_named
from benchmarks.plan import ROLES, Kind, Pool
from benchmarks.scenarios import WORKER_PAIRS
from benchmarks.steps import profile_for, steps_table
from benchmarks.summary import RIVAL, Summary, Verdict, Word
from benchmarks.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.floors import Floor
    from benchmarks.plan import Scenario

PAGE = "../docs/performance.md"
_ANCHORS = {
    Kind.BULK: "pieces-of-bulk",
    Kind.RR: "messages",
    Kind.BESIDE: "beside-bulk-and-with-two-workers",
    Kind.CONNECT: "new-tunnels",
    Kind.IDLE: "in-short",
    Kind.HTTP: "layer-7",
    Kind.DOWNLOAD: "layer-7",
}
_INTRODUCTION = (
    "Of each miss: what the proxies used for an operation (or a GB) in this run, user and kernel time by the kernel's"
    " accounting, and how often their threads gave up the core because they had nothing to do (voluntary) or because"
    " another wanted it (involuntary). Cores: how many the proxies kept busy."
)


def anchor_of(scenario: Scenario) -> str:
    """Where docs/performance.md tells about a scenario's traffic."""
    if scenario.for_workers:
        return _ANCHORS[Kind.BESIDE]
    return "a-new-tls-connection" if scenario.stage.pool is Pool.COLD else _ANCHORS[scenario.kind]


def reasons(
    summary: Summary, scenarios: Sequence[Scenario], once: Mapping[str, Any], floors: Iterable[Floor], cores: int
) -> list[str]:
    """A section for each scenario of which a form of ours missed a target, under the profile of its traffic.

    `once` is what the run measured once: of it the profiles and the system calls; `floors` are the machine's limits,
    `cores` its own.
    """
    profile, calls = once.get("profile", {}), once.get("calls", {})
    least = {(floor.scenario.name, floor.metric): floor.value for floor in floors}
    groups: dict[str, list[str]] = {}
    for scenario in scenarios:
        misses = _misses(summary, scenario)
        if misses:
            found = groups.setdefault(profile_for(scenario), [])
            found += _reason(summary, scenario, misses, least.get((scenario.name, "cpu_us_per_op")), cores)
            found += _calls(calls.get(scenario.name.removeprefix("workers-"), {}))
    if not groups:
        return []
    parts = ["## Not reached, and where the time goes", _INTRODUCTION]
    for name, sections in groups.items():
        parts += sections
        if name in profile:
            flames = f"[flame graph](results/flame-{name}.svg)"
            title = profile[name]["title"]
            parts.append(f"Where the time goes under such traffic, one worker, plain ({title}; samples; {flames}):")
            parts.append(steps_table(profile[name]))
    return parts


def _misses(summary: Summary, scenario: Scenario) -> list[list[Verdict]]:
    """Target by target, the forms that missed it."""
    rows = [[v for v in row.values() if v.word is Word.MISS] for row in summary.judged()]
    return [row for row in rows if row and row[0].target.scenario == scenario.name]


def _reason(
    summary: Summary, scenario: Scenario, misses: list[list[Verdict]], floor: float | None, cores: int
) -> list[str]:
    said = [f"- {_missed(row)}" for row in misses]
    for row in misses:
        for verdict in row:
            if verdict.target.metric == "per_second":
                said += _allowance(summary, scenario, verdict, floor, cores)
    if scenario.for_workers:
        said += _switching(summary, scenario)
    said.append(f"- More in [docs/performance.md]({PAGE}#{anchor_of(scenario)}).")
    return [f"### {scenario.title[:1].upper()}{scenario.title[1:]}", "\n".join(said), *_costs(summary, scenario)]


def _missed(misses: Sequence[Verdict]) -> str:
    target = misses[0].target
    wanted = f"{'at least' if target.at_least else 'at most'} {target.must:g}"
    found = ", ".join(f"{verdict.code} {verdict.value:.2f}" for verdict in misses)
    own = misses[0].rivals_own
    beside = "" if own is None else f"; {RIVAL}'s own two workers come to {own:.2f} times its one here"
    return f"{metric_named(target.metric).title}: {found}, must be {wanted}{beside}"


def _allowance(summary: Summary, scenario: Scenario, verdict: Verdict, floor: float | None, cores: int) -> list[str]:
    """How little the proxies would have to use, if all else took as long as it does."""
    metric = metric_named("cpu_us_per_op")
    cpu = summary.best_figure(scenario.name, verdict.target.subject, metric)
    if cpu is None or not verdict.ours or not verdict.theirs:
        return []
    lanes = min(scenario.connections, cores)  # one client waits for each answer, whatever the cores
    spent, wanted = (lanes * 1e6 / rate for rate in (verdict.ours, verdict.target.must * verdict.theirs))
    rest = spent - cpu.median
    where = "from one operation to the next" if lanes == 1 else f"of {lanes} cores for an operation"
    least = "" if floor is None else f"; the machine's limit by itself is {floor:.0f}"
    return [
        f"- {verdict.code}: {spent:.0f} us {where}, of which {cpu.median:.0f} are the CPU of our proxies and {rest:.0f}"
        f" all else: applications, generator, other programs, idle cores. With as much else,"
        f" {verdict.target.must:g} times {verdict.target.against}'s rate leaves the proxies"
        f" {max(wanted - rest, 0):.0f} us{least}."
    ]


def _switching(summary: Summary, scenario: Scenario) -> list[str]:
    """What goes with the switches that two workers make more than one."""
    said = []
    for one, two in WORKER_PAIRS.items():
        switches = [_switches(summary, scenario, name) for name in (one, two)]
        cpu = [summary.figure(scenario.name, name, "cpu_us_per_op") for name in (one, two)]
        if None in switches or cpu[0] is None or cpu[1] is None:
            continue
        fewer, more = (count or 0 for count in switches)
        dearer = cpu[1].median - cpu[0].median
        said.append(f"{one} {fewer:.2f} and {more:.2f} switches, {dearer:+.1f} us")
    return [f"- With one worker and with two, for an operation: {'; '.join(said)}."] if said else []


def _switches(summary: Summary, scenario: Scenario, name: str) -> float | None:
    kinds = [summary.figure(scenario.name, name, f"{kind}_switches_per_op") for kind in ("voluntary", "involuntary")]
    return sum(kind.median for kind in kinds if kind) if all(kinds) else None


def _calls(counted: Mapping[str, Mapping[str, float]]) -> list[str]:
    """System calls for an operation, where they were counted of this traffic."""
    said = [
        f"{who} {' + '.join(f'{count:.1f} {role}' for role, count in roles.items())}" for who, roles in counted.items()
    ]
    return [f"System calls for an operation, one worker: {'; '.join(said)}."] if said else []


def _costs(summary: Summary, scenario: Scenario) -> list[str]:
    """The table of who used what; nothing for traffic whose CPU nobody counts."""
    if scenario.kind in (Kind.BULK, Kind.DOWNLOAD):
        rate, unit, each, digits = "gbit_s", "s_per_gb", "gb", 3
    else:
        rate, unit, each, digits = "per_second", "us_per_op", "op", 1
    rows = []
    for name in summary.contestants():
        figures = [summary.figure(scenario.name, name, key) for key in _keys(scenario, rate, unit, each)]
        if name == DIRECT or figures[0] is None or figures[1] is None:
            continue
        medians = [figure.median if figure else None for figure in figures]
        busy = figures[0].median * figures[1].median / (8 if unit == "s_per_gb" else 1e6)
        cells = [_cell(value, digits) for value in medians[1:-2]] + [_cell(value, 2) for value in medians[-2:]]
        rows.append([name, metric_named(rate).write(figures[0].median), *cells, f"{busy:.2f}"])
    cost = metric_named(f"cpu_{unit}").title
    head = ["who", metric_named(rate).title, cost, "user", "kernel", *ROLES[scenario.stage.form]]
    return [table([*head, "voluntary switches", "involuntary", "cores"], rows)] if rows else []


def _keys(scenario: Scenario, rate: str, unit: str, each: str) -> list[str]:
    roles = [f"{role}_cpu_{unit}" for role in ROLES[scenario.stage.form]]
    switches = [f"{kind}_switches_per_{each}" for kind in ("voluntary", "involuntary")]
    return [rate, f"cpu_{unit}", f"cpu_user_{unit}", f"cpu_system_{unit}", *roles, *switches]


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
