"""RUST_LOG, as far as operators use it."""

from __future__ import annotations

import pytest

from mesh_py.telemetry.log_filter import Level, LogFilter, LogFilterError


@pytest.mark.parametrize(
    ("text", "scope", "level"),
    [
        ("info", "access", Level.INFO),
        ("", "access", Level.ERROR),
        ("warn", "", Level.WARN),
        ("OFF", "access", Level.OFF),
        ("access=debug,info", "access", Level.DEBUG),
        ("access=debug,info", "dns", Level.INFO),
        ("info,access:debug", "access", Level.DEBUG),
        ("access=debug", "dns", Level.ERROR),
        ("mesh_py=warn,mesh_py.discovery=trace,info", "mesh_py.discovery.state", Level.TRACE),
        ("mesh_py=warn,mesh_py.discovery=trace,info", "mesh_py.xds", Level.WARN),
        ("mesh_py=warn,info", "mesh_python", Level.INFO),
        ("mesh_py::discovery=debug,info", "mesh_py.discovery", Level.DEBUG),
        ("mesh_py::discovery:debug,info", "mesh_py.discovery", Level.DEBUG),
        ("info,debug", "access", Level.DEBUG),
        (" info , access = debug ", "access", Level.DEBUG),
        ("info,,access=off,", "access", Level.OFF),
    ],
)
def test_which_level_a_scope_has(text: str, scope: str, level: Level):
    assert LogFilter.parse(text).level_of(scope) is level


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loud", "no level 'loud' in 'loud'; levels are off, error, warn, info, debug, trace"),
        ("access=loud", "no level 'loud' in 'access=loud'"),
        ("access=", "no level '' in 'access='"),
        ("=debug", "'=debug' is not scope=level"),
        ("a=b=debug", "'a=b=debug' is not scope=level"),
        ("access[span]=debug", "is not scope=level"),
        ("info,ifno", "no level 'ifno'"),
    ],
)
def test_what_is_no_filter(text: str, message: str):
    with pytest.raises(LogFilterError) as caught:
        LogFilter.parse(text)
    assert message in str(caught.value)


def test_clauses_are_added_and_win():
    filter = LogFilter.parse("access=warn,info").with_clauses("debug").with_clauses("access=trace,dns=off")
    assert (filter.level_of("access"), filter.level_of("dns"), filter.level_of("x")) == (
        Level.TRACE,
        Level.OFF,
        Level.DEBUG,
    )


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("info", "info"),
        ("info,access:debug", "access=debug,info"),
        ("a=off,a.b.c=debug", "a.b.c=debug,a=off"),
        ("", ""),
    ],
)
def test_a_filter_prints_the_most_special_clause_first(text: str, printed: str):
    assert str(LogFilter.parse(text)) == printed
    assert LogFilter.parse(printed) == LogFilter.parse(text)
