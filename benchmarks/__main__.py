"""`python -m benchmarks`: the run, then its table, JSON, plots and report."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks import once
from benchmarks.contestants import available_peers, contestants_for
from benchmarks.machine import congestion_controls, machine_facts
from benchmarks.processes import BenchmarkError
from benchmarks.report import report
from benchmarks.run import Outcome, Run
from benchmarks.scenarios import COMPILED, SCENARIOS, choose_scenarios
from benchmarks.schedule import Settings
from benchmarks.summary import Summary
from benchmarks.tables import figures_table, verdicts_table
from benchmarks.workers import worker_ratios
from benchmarks.world import Capture, Topology, can_isolate

_HERE = Path(__file__).parent
_RESULTS, _QUICK_RESULTS = _HERE / "results", _HERE / ".build" / "quick"


@dataclass(frozen=True, slots=True)
class _Length:
    """How long a run is: rounds, seconds of a measurement, minutes at most."""

    rounds: int
    seconds: float
    minutes: float


_FULL, _QUICK = _Length(5, 1.3, 24), _Length(1, 0.4, 5)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "terminal_width": 110}
)
@click.option("--quick", is_flag=True, help="1 round of 0.4 s instead of 5 of 1.3 s; not for quoting.")
@click.option("--scenario", metavar="NAME,...", default="", help="Only these: bulk, rr-32, connect-16-quiet, ...")
@click.option("--peer", metavar="NAME,...", default="", help="Only these: ours, envoy, direct, ...")
@click.option("--rounds", type=click.IntRange(1, 100), help="Alternating rounds.")
@click.option("--seconds", type=click.FloatRange(0.2, 600), help="Measured time of each measurement.")
@click.option("--minutes", type=click.FloatRange(1, 600), help="At most so long: rounds beyond are left out. (24)")
@click.option(
    "--topology",
    type=click.Choice([form.value for form in Topology]),
    help="loopback (default), or veth between two namespaces, for all scenarios.",
)
@click.option(
    "--capture",
    type=click.Choice([form.value for form in Capture]),
    help="redirect (default as root), or proxy headers.",
)
@click.option(
    "--congestion",
    metavar="NAME",
    default="",
    help="TCP congestion control of all namespaces: cubic, bbr, ... (the machine's)",
)
@click.option(
    "--calm",
    type=click.FloatRange(0, 600),
    default=0,
    metavar="SECONDS",
    help="Before each measurement wait up to so long for other programs to be quiet.",
)
@click.option(
    "--once/--no-once", "with_once", default=None, help="Also limits, state, starts, lab, profile. (with all)"
)
@click.option(
    "--again/--no-again",
    default=None,
    help="In the time left, further rounds of what is within 5 % of its target. (with all, unless quick)",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where JSON and plots go.")
@click.option("--list", "only_list", is_flag=True, help="Name the scenarios and peers, and end.")
def main(
    quick: bool,
    scenario: str,
    peer: str,
    rounds: int | None,
    seconds: float | None,
    minutes: float | None,
    topology: str | None,
    capture: str | None,
    congestion: str,
    calm: float,
    with_once: bool | None,
    again: bool | None,
    out: Path | None,
    only_list: bool,
) -> None:
    """Compare our proxies with others on this machine, in one run, in turn.

    Peers: ours, and ours 2 workers; both compiled too, where `make accelerated` has compiled them, and then both
    forms are judged; envoy (with default and with large windows), and envoy 2 workers; direct (no proxy: what the
    machine can do); and foreign, the proxy that BENCH_PEER_CMD starts, with the real ztunnel's environment names.

    As root, all proxies live in network namespaces of their own and traffic is captured by netfilter. Otherwise
    connections open with a PROXY protocol header.

    BENCH_PYTHON names another interpreter for our proxies, of the same minor version: builds of one version differ.

    Ends with status 0 when all was measured, 1 when something failed, 2 for a wrong argument. Being slow is no
    failure. Ctrl-C ends every process of the run and writes nothing.
    """
    if only_list:
        _list()
        return
    length = _QUICK if quick else _FULL
    if not peer and COMPILED not in available_peers():
        _say(_NOT_COMPILED)
    try:
        scenarios = choose_scenarios(_words(scenario))
        contestants = contestants_for(_words(peer) or available_peers(), scenarios)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not can_isolate():
        _say(_NOT_ISOLATED)
        scenarios = [one for one in scenarios if not one.stage.apart]
        contestants = [one for one in contestants if not one.stage.apart]
    chosen_topology, chosen_capture = _surroundings(
        Topology(topology) if topology else None, Capture(capture) if capture else None, peer
    )
    settings = Settings(
        tuple(scenarios),
        tuple(contestants),
        rounds or length.rounds,
        seconds or length.seconds,
        chosen_topology,
        chosen_capture,
        calm,
        (minutes or length.minutes) * 60,
        _congestion(congestion),
        not (scenario or quick) if again is None else again,
    )
    folder = out or (_QUICK_RESULTS if quick else _RESULTS)
    also = not scenario if with_once is None else with_once
    sys.exit(_run_and_write(Run(settings, _say), settings, folder, quick=quick, with_once=also))


_NOT_ISOLATED = (
    "NOTE: without the right to make namespaces, or without `ip` and `iptables`, all runs on the machine's own"
    " loopback, captured by PROXY header, and nothing across namespaces"
)

_NOT_COMPILED = (
    "NOTE: the compiled form is not built, or of other sources or another interpreter, so the plain one alone is"
    " judged: `make accelerated` builds it"
)


def _run_and_write(run: Run, settings: Settings, folder: Path, *, quick: bool, with_once: bool) -> int:
    _say(f"{len(settings.steps)} measurements, at most {settings.budget / 60:.0f} minutes")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if with_once:
            run.once(once.parts(folder, quick=quick, keep_document=folder != _RESULTS))
        run.rounds()
    except BenchmarkError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; every process of the run has ended, no report is written")
        return 130
    _write(settings, run.outcome, folder)
    failed = any(sample.error for sample in run.outcome.samples)
    return 1 if failed or any("error" in found for found in run.outcome.once.values()) else 0


def _write(settings: Settings, outcome: Outcome, folder: Path) -> None:
    from benchmarks.plots import draw

    summary = Summary(outcome.samples)
    document = _document(settings, outcome, summary)
    (folder / "benchmark.json").write_text(json.dumps(document, indent=1) + "\n")
    pictures = draw(summary, settings.scenarios, outcome.once.get("limits", {}), folder)
    page_folder = folder.parent if folder == _RESULTS else folder
    links = [path.relative_to(page_folder).as_posix() for path in pictures if path.suffix == ".svg"]
    (page_folder / "REPORT.md").write_text(report(document, summary, settings.scenarios, links))
    click.echo(figures_table(summary, settings.scenarios))
    if summary.judged():
        click.echo("\n" + verdicts_table(summary.judged(), settings.scenarios))
    _say(f"written: {page_folder / 'REPORT.md'}; JSON and plots in {folder}")


def _document(settings: Settings, outcome: Outcome, summary: Summary) -> dict[str, Any]:
    return {
        "schema": 4,
        "machine": machine_facts(),
        "cores": len(os.sched_getaffinity(0)),
        "settings": {
            "rounds": len({record["round"] for record in outcome.records if not record.get("again")}),
            "seconds": settings.seconds,
            "topology": settings.topology.value,
            "capture": settings.capture.value,
            "congestion": settings.congestion,
        },
        "contestants": outcome.facts,
        "scenarios": [asdict(scenario) for scenario in settings.scenarios],
        "verdicts": [verdict.as_json() for row in summary.judged() for verdict in row.values()],
        "workers": [ratio.as_json() for ratio in worker_ratios(summary, settings.scenarios)],
        "once": outcome.once,
        "samples": outcome.records,
    }


def _surroundings(topology: Topology | None, capture: Capture | None, peer: str) -> tuple[Topology, Capture]:
    """A foreign proxy binds every address, so it, and with it all others of the run, lives across a veth."""
    if not can_isolate():
        if Topology.VETH is topology or Capture.REDIRECT is capture:
            raise click.UsageError("veth and redirect need the right to make namespaces (root), `ip` and `iptables`")
        return Topology.LOOPBACK, Capture.PROXY
    foreign = "foreign" in (_words(peer) or available_peers())
    topology = topology or (Topology.VETH if foreign else Topology.LOOPBACK)
    return topology, capture or Capture.REDIRECT


def _congestion(name: str) -> str:
    """As asked, or a usage error where the kernel does not have it."""
    if name and (not can_isolate() or name not in congestion_controls()):
        has = ", ".join(congestion_controls()) or "none that can be chosen"
        raise click.UsageError(f"--congestion {name}: it needs the right to make namespaces; this kernel has {has}")
    return name


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _list() -> None:
    for scenario in SCENARIOS:
        click.echo(f"{scenario.name:20}{scenario.title}")
    click.echo(f"peers here: {', '.join(available_peers())}")


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
