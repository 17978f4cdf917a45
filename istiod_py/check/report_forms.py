"""How a report is printed: lines for people, JSON for scripts, SARIF for code hosts [pure]."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from istiod_py.check.codes import CODES, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from istiod_py.check.codes import Code, Finding
    from istiod_py.check.folder_check import Report

Json = dict[str, Any]

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def as_table(report: Report, *, coloured: bool = False) -> str:
    """One line for each finding, `file:line:column: severity code: what; advice`, and a line with the sums."""
    lines = [_line(finding, coloured) for finding in report.findings]
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    scope = f"{_counted(report.files, 'file')}, {_counted(report.objects, 'object')}"
    if report.findings:
        lines.append(f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')} in {scope}")
    else:
        lines.append(f"nothing to complain about in {scope}")
    return "\n".join(lines) + "\n"


def as_json(report: Report, *, coloured: bool = False) -> str:
    """An object with `findings` and the sums."""
    return _text(
        {
            "findings": [_finding(one) for one in report.findings],
            "errors": report.count(Severity.ERROR),
            "warnings": report.count(Severity.WARNING),
            "files": report.files,
            "objects": report.objects,
        }
    )


def as_sarif(report: Report, *, coloured: bool = False) -> str:
    """SARIF 2.1.0."""
    rules = [_sarif_rule(code) for code in CODES.values()]
    driver = {"name": "istiod-py check", "rules": rules}
    run = {"tool": {"driver": driver}, "results": [_sarif_result(one) for one in report.findings]}
    return _text({"$schema": _SARIF, "version": "2.1.0", "runs": [run]})


FORMS: Mapping[str, Callable[..., str]] = {"table": as_table, "json": as_json, "sarif": as_sarif}
"""By the word after `-o`."""


def _line(finding: Finding, coloured: bool) -> str:
    if not coloured:
        return str(finding)
    severity = click.style(finding.code.severity.value, fg=_COLOURS[finding.code.severity], bold=True)
    advice = click.style(f"; {finding.advice}", dim=True) if finding.advice else ""
    return f"{click.style(str(finding.place), bold=True)}: {severity} {finding.code.name}: {finding.what}{advice}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _finding(finding: Finding) -> Json:
    return {
        "code": finding.code.name,
        "severity": finding.code.severity.value,
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "what": finding.what,
        "advice": finding.advice,
    }


def _sarif_rule(code: Code) -> Json:
    return {
        "id": code.name,
        "shortDescription": {"text": code.meaning},
        "defaultConfiguration": {"level": code.severity.value},
    }


def _sarif_result(finding: Finding) -> Json:
    advice = f"; {finding.advice}" if finding.advice else ""
    result: Json = {
        "ruleId": finding.code.name,
        "level": finding.code.severity.value,
        "message": {"text": f"{finding.what}{advice}"},
    }
    if finding.place.file:
        location: Json = {"artifactLocation": {"uri": finding.place.file}}
        if finding.place.line:
            location["region"] = {"startLine": finding.place.line, "startColumn": max(finding.place.column, 1)}
        result["locations"] = [{"physicalLocation": location}]
    return result


def _text(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
