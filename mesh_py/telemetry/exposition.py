"""Snapshots as OpenMetrics text [pure].

Written here because greps made for ztunnel rely on its label order, and the usual library sorts labels. The parser
of that library judges this text in the tests.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.telemetry.labels import FLAGS_INDEX, LOCALITY_LABELS, TRAFFIC_LABELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mesh_py.telemetry.instruments import Family
    from mesh_py.telemetry.snapshot import SeriesCounts, Snapshot

_CHUNK = 200
"""Series per piece of text: some 0.2 ms of work, so that a scrape can give way to connections in between."""

_LABEL_NAMES = (*TRAFFIC_LABELS, *LOCALITY_LABELS)


class _TrafficFamily(NamedTuple):
    name: str
    help: str
    samples: Callable[[SeriesCounts], Iterator[tuple[str, int]]]
    """Response flag and value of each sample a series has in this family."""


def _closed(series: SeriesCounts) -> Iterator[tuple[str, int]]:
    yield from series.closed.items()


def _failed(series: SeriesCounts) -> Iterator[tuple[str, int]]:
    yield from ((flag, count) for flag, count in series.closed.items() if flag != "-")


_TRAFFIC_FAMILIES = (
    _TrafficFamily("istio_tcp_connections_opened", "Connections opened", lambda series: iter((("-", series.opened),))),
    _TrafficFamily("istio_tcp_connections_closed", "Connections closed, whatever the reason", _closed),
    _TrafficFamily(
        "istio_tcp_received_bytes",
        "Payload bytes from clients to servers",
        lambda series: iter((("-", series.received_bytes),)),
    ),
    _TrafficFamily(
        "istio_tcp_sent_bytes",
        "Payload bytes from servers to clients",
        lambda series: iter((("-", series.sent_bytes),)),
    ),
    _TrafficFamily("istio_tcp_connections_failed", "Connections that failed (unstable)", _failed),
)


def render(snapshot: Snapshot) -> Iterator[str]:
    """The whole exposition in pieces, ending in `# EOF`; a family without samples is left out."""
    for family in _TRAFFIC_FAMILIES:
        yield from _traffic_text(family, snapshot.traffic)
    for other in snapshot.families:
        if other.samples:
            yield _head(other.name, other.kind, other.help) + "".join(_sample_lines(other))
    yield "# EOF\n"


def render_classic(families: Iterable[Family]) -> Iterator[str]:
    """The families in Prometheus' older text format, where counters have no suffix: istiod's dashboards know those."""
    for family in families:
        if family.samples:
            yield _head(family.name, family.kind, family.help) + "".join(_sample_lines(family, ""))


def as_classic(text: str) -> str:
    """What `render` wrote, in the older format: a counter's family is called as its samples are, and no end is told."""
    return _COUNTER_HEAD.sub(r"# HELP \1_total \2\n# TYPE \1_total counter\n", text).removesuffix("# EOF\n")


_COUNTER_HEAD = re.compile(r"^# HELP (\S+) (.*)\n# TYPE \1 counter\n", re.MULTILINE)


def _traffic_text(family: _TrafficFamily, traffic: list[SeriesCounts]) -> Iterator[str]:
    head = _head(family.name, "counter", family.help)
    for start in range(0, len(traffic), _CHUNK):
        lines = []
        for series in traffic[start : start + _CHUNK]:
            before, after = _traffic_labels(series.labels)
            lines += [
                f"{family.name}_total{{{before}{flag}{after}}} {value}\n" for flag, value in family.samples(series)
            ]
        if lines:
            yield head + "".join(lines)
            head = ""


@lru_cache(maxsize=16_384)
def _traffic_labels(values: tuple[str, ...]) -> tuple[str, str]:
    """The text of a label set before and after the response flag."""
    pairs = [f'{name}="{_escape(value)}"' for name, value in zip(_LABEL_NAMES, values, strict=False)]
    before = ",".join((*pairs[:FLAGS_INDEX], f'{TRAFFIC_LABELS[FLAGS_INDEX]}="'))
    return before, ",".join(('"', *pairs[FLAGS_INDEX + 1 :]))


def _head(name: str, kind: str, help: str) -> str:
    return f"# HELP {name} {help}.\n# TYPE {name} {kind}\n"


def _sample_lines(family: Family, counter_suffix: str = "_total") -> Iterator[str]:
    suffix = counter_suffix if family.kind == "counter" else ""
    for values, numbers in family.samples.items():
        labels = [f'{name}="{_escape(value)}"' for name, value in zip(family.label_names, values, strict=True)]
        if family.kind == "histogram":
            yield from _histogram_lines(family, labels, numbers)
        else:
            yield f"{family.name}{suffix}{_braces(labels)} {numbers[0]}\n"


def _histogram_lines(family: Family, labels: list[str], numbers: list[int | float]) -> Iterator[str]:
    count: int | float = 0
    for bound, number in zip((*family.bounds, float("inf")), numbers, strict=False):
        count += number
        limit = "+Inf" if bound == float("inf") else str(float(bound))
        braces = _braces([*labels, f'le="{limit}"'])
        yield f"{family.name}_bucket{braces} {count}\n"
    yield f"{family.name}_count{_braces(labels)} {count}\n"
    yield f"{family.name}_sum{_braces(labels)} {numbers[-1]}\n"


def _braces(labels: list[str]) -> str:
    return f"{{{','.join(labels)}}}" if labels else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
