"""Which lines are made at which level."""

from __future__ import annotations

import pytest

from mesh_py.telemetry.access_log import AccessLog
from mesh_py.telemetry.connection_log import Ended, PlainLines
from mesh_py.telemetry.facts import ConnectionFacts
from mesh_py.telemetry.log_filter import Level

FACTS = ConnectionFacts("source", None, None)


def four_events(log: AccessLog) -> None:
    ends = log.ends(FACTS, "2.2.2.2:2", "3.3.3.3:3")
    log.opened("1.1.1.1:1", ends)
    log.complete("1.1.1.1:1", ends, Ended(1, 2, 3))
    log.complete("1.1.1.1:1", ends, Ended(1, 2, 3, "broken"))
    log.failed("source", "1.1.1.1:1", "2.2.2.2:2", "unknown")


@pytest.mark.parametrize(
    ("level", "written"),
    [
        (Level.TRACE, ["debug", "info", "error", "warn"]),
        (Level.DEBUG, ["debug", "info", "error", "warn"]),
        (Level.INFO, ["info", "error", "warn"]),
        (Level.WARN, ["error", "warn"]),
        (Level.ERROR, ["error"]),
        (Level.OFF, []),
    ],
)
def test_levels(level: Level, written: list[str]):
    lines: list[str] = []
    four_events(AccessLog(lines.append, PlainLines(), lambda: 0.0, level))
    assert [line.split("\t")[1] for line in lines] == written


def test_the_clock_and_every_argument_reach_the_line():
    lines: list[str] = []
    log = AccessLog(lines.append, PlainLines(), lambda: 1.25)
    log.complete("1.1.1.1:1", log.ends(FACTS, "2.2.2.2:2", "3.3.3.3:3"), Ended(1, 2, 3))
    assert lines == [
        "1970-01-01T00:00:01.250000Z\tinfo\taccess\tconnection complete\tsrc.addr=1.1.1.1:1 dst.addr=2.2.2.2:2 "
        'dst.hbone_addr=3.3.3.3:3 direction="outbound" bytes_sent=1 bytes_recv=2 duration="3ms"\n'
    ]


def test_the_level_changes_while_it_runs():
    lines: list[str] = []
    log = AccessLog(lines.append, PlainLines(), lambda: 0.0, Level.OFF)
    assert not log.wants_complete
    log.set_level(Level.DEBUG)
    four_events(log)
    assert len(lines) == 4
