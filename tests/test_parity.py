"""docs/parity.md is complete and true: every behaviour has its row, every row its test, and the test ran.

The ids stand for what the real ztunnel's own tests pin (hbone-dataplane 11), one each, in that section's order.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.outcomes import asked_for, is_a_part, not_run, without_parameters
from tests.support.require import everything_is_required
from tests.support.source_tree import ROOT, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = ROOT / "docs" / "parity.md"

IDS = re.findall(
    r"\S+",
    """
    told-to-end port-conflict drain-waits drain-deadline socks-round-trips name-only-counter metric-help dns-counter
    connection-counters byte-counters

    captured-matrix workload-waypoint service-waypoint double-hbone sandwich load-balancing drain-end-to-end
    workload-deleted denied-text foreign-address connect-by-name self-calls wrong-trust-domain certificates-ahead
    own-metrics revocation compressed-metrics

    unknown-address no-way-to-network gateways failover known-workloads source-waypoint destination-waypoint
    service-waypoint-authority empty-service named-target-port host-network address-families passthrough
    forwarded-and-network

    inbound-target inbound-refusals response-baggage forwarded-host baggage

    pool-sharing pool-source-address pool-limit pool-goaway pool-counts pool-idle pool-partial-reads

    connection-registry policy-watcher rbac-truth workload-wait endpoint-choice service-lookup endpoint-staging

    copy-loop socket-options trust-and-revocation pod-sockets pod-announcements
    """,
)

SUBJECTS = (
    "the control plane",
    "revocation lists",
    "names looked up on demand",
    "the tunnel library",
)
"""What a row that is not yet there may wait for."""

ROW = re.compile(r"\| `([a-z0-9-]+)` \| ([^|]+) \| (same|better|not yet) \| ([^|]*) \| ([^|]*) \|")


class Row(NamedTuple):
    """One behaviour, our verdict, and the tests that show it."""

    id: str
    behaviour: str
    verdict: str
    tests: list[str]
    remark: str


def rows() -> list[Row]:
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            row = ROW.fullmatch(line)
            assert row is not None, f"not a row: {line}"
            key, behaviour, verdict, tests, remark = row.groups()
            found.append(Row(key, behaviour.strip(), verdict, re.findall(r"`([^`]+)`", tests), remark.strip()))
    return found


ROWS = rows()
NAMED = sorted({test for row in ROWS for test in row.tests})


def file_of(test: str) -> str:
    return test.partition("::")[0]


@pytest.fixture(scope="session")
def collected(request: pytest.FixtureRequest) -> set[str]:
    """Every test that is named and exists: of this run, else as pytest finds it, long ones included."""
    here = {item.nodeid for item in request.session.items}
    known = here | without_parameters(here)
    elsewhere = sorted({file_of(test) for test in NAMED if test not in known})
    return here | (found_in(elsewhere) if elsewhere else set())


def found_in(files: list[str]) -> set[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-o", "addopts=--import-mode=importlib"]
    done = subprocess.run(
        [*command, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {line for line in done.stdout.splitlines() if "::" in line}


def test_every_behaviour_has_its_row_in_order() -> None:
    assert [row.id for row in ROWS] == IDS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_says_what_its_verdict_needs(row: Row) -> None:
    assert row.behaviour
    if row.verdict == "not yet":
        assert row.remark.startswith(tuple(f"With {subject}" for subject in SUBJECTS)), row.remark
        return
    assert row.tests, "no test shows it"
    assert row.verdict == "same" or row.remark, "in what is it better?"


def test_every_named_test_exists(collected: set[str]) -> None:
    known = collected | without_parameters(collected)
    assert [test for test in NAMED if test not in known] == []


@pytest.mark.parametrize("test", NAMED)
def test_a_named_test_is_not_switched_off(test: str) -> None:
    file, *names = test.partition("[")[0].split("::")
    tree = tree_of(ROOT / file)
    assert not any(is_switch(node.value) for node in tree.body if isinstance(node, ast.Assign)), "pytestmark"
    body: list[ast.stmt] = tree.body
    for name in names:
        [found] = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name
        ]
        assert not any(is_switch(decorator) for decorator in found.decorator_list), name
        body = found.body
    assert not any(isinstance(node, ast.Expr) and is_switch(node.value) for node in body), "it skips itself"


def is_switch(node: ast.expr) -> bool:
    """`pytest.mark.skip(...)`, `pytest.mark.xfail`, `pytest.skip(...)`, alone or in a list."""
    if isinstance(node, ast.List | ast.Tuple):
        return any(map(is_switch, node.elts))
    text = ast.unparse(node.func if isinstance(node, ast.Call) else node)
    return text in ("pytest.mark.skip", "pytest.mark.xfail", "pytest.skip", "pytest.xfail")


def test_every_named_test_ran(request: pytest.FixtureRequest) -> None:
    """Those of this run at least, and all that it was asked for; without REQUIRE_ALL some may be skipped by name."""
    asked = asked_for(request.session)
    if not set(NAMED) & {*asked, *without_parameters(asked)}:
        pytest.skip("this run was asked for none of the tests that docs/parity.md names")
    if is_a_part(request.config):
        return  # tests/conftest.py asks the same in the process that sees them all
    assert named_tests_that_did_not_run(asked) == {}


def named_tests_that_did_not_run(asked: Iterable[str]) -> dict[str, str | None]:
    """By node id, with how they ended."""
    return not_run(asked, NAMED, {"passed"} if everything_is_required() else {"passed", "skipped"})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("pytest.mark.skip", True),
        ("pytest.mark.skip(reason='x')", True),
        ("[pytest.mark.interop, pytest.mark.xfail]", True),
        ("pytest.skip('x')", True),
        ("pytest.mark.skipif(True)", False),
        ("pytest.mark.interop", False),
    ],
)
def test_a_switch_is_known_when_it_is_seen(code: str, expected: bool) -> None:
    assert is_switch(ast.parse(code, mode="eval").body) is expected
