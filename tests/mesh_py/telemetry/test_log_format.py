"""Ordinary log records as golden lines."""

from __future__ import annotations

import json
import logging

import pytest

from mesh_py.telemetry.log_filter import Level
from mesh_py.telemetry.log_format import JsonFormatter, PlainFormatter, fields
from mesh_py.telemetry.log_text import Bare

NOW = 1786406400.5
TIME = "2026-08-11T00:00:00.500000Z"


def record(
    message: str, *args: object, level: int = logging.INFO, extra: dict[str, object] | None = None
) -> logging.LogRecord:
    made = logging.LogRecord("ztunnel_py.inbound", level, __file__, 1, message, args, None)
    made.created = NOW
    made.__dict__.update(extra or {})
    return made


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (Level.TRACE, "trace"),
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (logging.WARNING, "warn"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "error"),
    ],
)
def test_levels_have_ztunnels_names(level: int, name: str):
    made = record("hello %s", "world", level=level)
    assert PlainFormatter().format(made) == f"{TIME}\t{name}\tztunnel_py.inbound\thello world"
    assert json.loads(JsonFormatter().format(made))["level"] == name


def test_fields_follow_the_message():
    extra = fields(
        {"src.addr": Bare("1.2.3.4:5")}, component="inbound plaintext", port=15006, transparent=True, missing=None
    )
    made = record("listener established", extra=extra)
    assert PlainFormatter().format(made) == (
        f"{TIME}\tinfo\tztunnel_py.inbound\tlistener established\t"
        'src.addr=1.2.3.4:5 component="inbound plaintext" port=15006 transparent=true'
    )
    assert JsonFormatter().format(made) == (
        f'{{"level":"info","time":"{TIME}","scope":"ztunnel_py.inbound","message":"listener established",'
        '"src.addr":"1.2.3.4:5","component":"inbound plaintext","port":15006,"transparent":true}'
    )


@pytest.mark.parametrize("formatter", [PlainFormatter(), JsonFormatter()], ids=["plain", "json"])
def test_a_message_makes_one_line(formatter: logging.Formatter):
    line = formatter.format(record("peer said %s", "a\nb\x1b[0m", extra=fields(error=Bare("x\ny"))))
    assert "\n" not in line
    assert "\x1b" not in line


def test_a_traceback_is_indented_below_its_line():
    made = record("broken", level=logging.ERROR)
    made.exc_info = _caught(ValueError("two\nlines"))
    lines = PlainFormatter().format(made).split("\n")
    assert lines[0] == f"{TIME}\terror\tztunnel_py.inbound\tbroken"
    assert lines[1] == "\tTraceback (most recent call last):"
    assert all(line.startswith("\t") for line in lines[1:])
    assert [line.strip() for line in lines[-2:]] == ["ValueError: two", "lines"]


def test_a_traceback_is_a_field_in_json():
    made = record("broken", level=logging.ERROR)
    made.exc_info = _caught(ValueError("no"))
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ValueError: no")


def _caught(error: Exception):
    try:
        raise error
    except Exception as caught:
        return type(caught), caught, caught.__traceback__
