"""What reading a folder tells, as findings [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from mesh_py.discovery.problems import FaultKind
from mesh_py.manifests.metadata import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.check.codes import Finding
    from mesh_py.discovery.problems import Problem
    from mesh_py.manifests.reader import FileContents

_FAULTS = {
    FaultKind.SYNTAX: codes.SYNTAX,
    FaultKind.UNKNOWN_KEY: codes.UNKNOWN_KEY,
    FaultKind.MISSING_KEY: codes.MISSING_KEY,
    FaultKind.DOUBLED_KEY: codes.DOUBLED_KEY,
    FaultKind.VALUE: codes.VALUE,
    FaultKind.UNKNOWN_KIND: codes.UNKNOWN_KIND,
    FaultKind.VERSION: codes.VERSION,
}
_WARNINGS = {
    FaultKind.UNKNOWN_KIND: codes.PASSED_OVER,
    FaultKind.UNSUPPORTED: codes.UNSUPPORTED,
    FaultKind.UNKNOWN_KEY: codes.LIKELY_SLIP,
    FaultKind.VALUE: codes.NOT_TEXT,
}


def of_contents(contents: FileContents) -> Iterator[Finding]:
    """The faults and warnings of a file."""
    for problem in contents.faults:
        yield _found(_FAULTS[problem.kind], problem)
    for problem in contents.warnings:
        is_local = contents.local_config is not None
        yield _found(codes.LOCAL_CONFIG if is_local else _WARNINGS.get(problem.kind, codes.LIKELY_SLIP), problem)


def unreadable(problem: Problem) -> Finding:
    """A file that could not be had at all."""
    return _found(codes.UNREADABLE, problem)


def duplicate(problem: Problem) -> Finding:
    """A name that is taken."""
    return _found(codes.DUPLICATE, problem)


def _found(code: codes.Code, problem: Problem) -> Finding:
    return code.at(Place(problem.file, problem.line, problem.column), problem.what, problem.advice)
