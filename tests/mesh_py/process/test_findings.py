"""The verdict of a demonstration."""

from __future__ import annotations

import io

from mesh_py.process.console import Console
from mesh_py.process.findings import Finding, show_findings


def test_one_missing_proof_is_none() -> None:
    stream = io.StringIO()
    assert not show_findings(Console(stream), [Finding(True, "this"), Finding(False, "that")], "all is well")
    assert stream.getvalue() == "Judged\n  ok  this\n  NO  that\n\nNOT proved: not all went as it should.\n"
    assert show_findings(Console(stream), [Finding(True, "this")], "all is well")
