"""One filter over the access log and Python's own loggers, changed while they run."""

from __future__ import annotations

import json
import logging
import os

import pytest

from mesh_py.telemetry.connection_log import Ended
from mesh_py.telemetry.facts import ConnectionFacts
from mesh_py.telemetry.log_filter import LogFilter, LogFilterError
from mesh_py.telemetry.log_sink import LogSink
from mesh_py.telemetry.logs import Logs

LOGGER = logging.getLogger("mesh_py.discovery.test_logs")


class Written:
    """Lines written to a real pipe so far."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.sink = LogSink(self.writer)

    def lines(self) -> list[str]:
        try:
            return os.read(self.reader, 1 << 16).decode().splitlines()
        except BlockingIOError:
            return []


@pytest.fixture
def written():
    made = Written()
    yield made
    made.sink.close()
    os.close(made.reader)
    os.close(made.writer)


@pytest.fixture
def make_logs(written):
    before = (logging.root.level, list(logging.root.handlers))
    made: list[Logs] = []

    def make(text: str = "info", *, json: bool = False) -> Logs:
        logs = Logs(written.sink, filter=LogFilter.parse(text), json=json, now=lambda: 0.0)
        logs.install()
        made.append(logs)
        return logs

    yield make
    for logs in made:
        logs.uninstall()
    logging.root.setLevel(before[0])
    logging.root.handlers[:] = before[1]


def test_ordinary_loggers_write_ztunnels_lines(make_logs, written):
    make_logs()
    LOGGER.info("hello")
    LOGGER.debug("not this")
    assert [line.split("\t")[1:] for line in written.lines()] == [["info", LOGGER.name, "hello"]]


def test_json_for_both_kinds(make_logs, written):
    logs = make_logs(json=True)
    LOGGER.warning("hello")
    ends = logs.access.ends(ConnectionFacts("source", None, None), "2.2.2.2:2")
    logs.access.complete("1.1.1.1:1", ends, Ended(1, 2, 3))
    first, second = (json.loads(line) for line in written.lines())
    assert (first["level"], first["message"]) == ("warn", "hello")
    assert (second["scope"], second["message"]) == ("access", "connection complete")


def test_a_scope_has_a_level_of_its_own(make_logs, written):
    logs = make_logs("warn,mesh_py.discovery=debug,access=off")
    LOGGER.debug("seen")
    logging.getLogger("mesh_py.xds").info("not seen")
    logs.access.failed("source", "1.1.1.1:1", "2.2.2.2:2", "not seen")
    assert [line.split("\t")[3] for line in written.lines()] == ["seen"]


def test_clauses_add_up_until_reset(make_logs, written):
    logs = make_logs("info")
    assert str(logs.change("debug")) == "debug"
    assert str(logs.change("mesh_py.discovery:error")) == "mesh_py.discovery=error,debug"
    LOGGER.warning("not seen")
    logging.getLogger("mesh_py.xds").debug("seen")
    assert str(logs.change("access=trace", reset=True)) == "access=trace,info"
    LOGGER.warning("seen again")
    logging.getLogger("mesh_py.xds").debug("not seen")
    assert [line.split("\t")[3] for line in written.lines()] == ["seen", "seen again"]
    assert logs.access.wants_opened
    assert str(logs.change(reset=True)) == str(logs.filter) == "info"
    assert not logs.access.wants_opened


def test_a_wrong_clause_changes_nothing(make_logs):
    logs = make_logs("info")
    with pytest.raises(LogFilterError):
        logs.change("debug,access=loud")
    assert str(logs.filter) == "info"
    assert not LOGGER.isEnabledFor(logging.DEBUG)


def test_off_silences_errors_too(make_logs, written):
    make_logs("off")
    LOGGER.critical("not seen")
    assert written.lines() == []


def test_lost_lines_are_told_in_the_same_notation(make_logs, written):
    make_logs(json=True)
    told = json.loads(written.sink.lost(7))
    assert (told["level"], told["message"], told["count"]) == ("warn", "log lines lost", 7)


def test_uninstalling_gives_the_levels_back(make_logs):
    logs = make_logs("trace,mesh_py.discovery.test_logs=debug")
    logs.uninstall()
    assert (LOGGER.level, logging.root.level) == (logging.NOTSET, logging.WARNING)


def test_a_log_call_with_wrong_arguments_does_not_fail(make_logs, written, capfd):
    make_logs()
    LOGGER.info("%d bytes", "many")
    LOGGER.info("next")
    assert [line.split("\t")[3] for line in written.lines()] == ["next"]
    assert "many" in capfd.readouterr().err
