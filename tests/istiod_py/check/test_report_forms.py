"""Reports: lines for people, JSON for scripts, SARIF for code hosts."""

from __future__ import annotations

import json
from typing import Any

from istiod_py.check.codes import CODES, NO_ADDRESS_LEFT, NO_BACKEND, NO_NAMESPACE
from istiod_py.check.folder_check import Report
from istiod_py.check.report_forms import as_json, as_sarif, as_table
from mesh_py.manifests.metadata import Place

REPORT = Report(
    (
        NO_NAMESPACE.at(Place("a.yaml", 1, 1), "what is wrong", "what to do"),
        NO_BACKEND.at(Place("b.yaml", 7, 0), "another thing"),
        NO_ADDRESS_LEFT.anywhere("too small"),
    ),
    files=2,
    objects=1,
)


def test_lines() -> None:
    assert as_table(REPORT) == (
        "a.yaml:1:1: warning HM104: what is wrong; what to do\n"
        "b.yaml:7:0: error HM403: another thing\n"
        ": error HM111: too small\n"
        "2 errors, 1 warning in 2 files, 1 object\n"
    )
    assert as_table(Report((), 1, 0)) == "nothing to complain about in 1 file, 0 objects\n"


def test_colours_change_no_word() -> None:
    coloured = as_table(REPORT, coloured=True)
    assert "\x1b[31m" in coloured
    plain = coloured
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m"):
        plain = plain.replace(code, "")
    assert plain == as_table(REPORT)


def test_json() -> None:
    found: dict[str, Any] = json.loads(as_json(REPORT))
    assert {key: found[key] for key in ("errors", "warnings", "files", "objects")} == {
        "errors": 2,
        "warnings": 1,
        "files": 2,
        "objects": 1,
    }
    assert found["findings"][0] == {
        "code": "HM104",
        "severity": "warning",
        "file": "a.yaml",
        "line": 1,
        "column": 1,
        "what": "what is wrong",
        "advice": "what to do",
    }


def test_sarif() -> None:
    found: dict[str, Any] = json.loads(as_sarif(REPORT))
    [run] = found["runs"]
    assert found["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(CODES)
    first, second, third = run["results"]
    assert (first["ruleId"], first["level"], first["message"]) == (
        "HM104",
        "warning",
        {"text": "what is wrong; what to do"},
    )
    assert second["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "b.yaml"},
        "region": {"startLine": 7, "startColumn": 1},
    }
    assert "locations" not in third
