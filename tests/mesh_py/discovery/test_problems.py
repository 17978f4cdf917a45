"""Problems: one line each, in the order of the file, with advice."""

from __future__ import annotations

import pytest

from mesh_py.discovery.problems import ConfigError, Problem, suggest


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        pytest.param(
            Problem("mesh.yaml", 12, 5, "unknown key 'protcol' in workload", "did you mean 'protocol'?"),
            "mesh.yaml:12:5: unknown key 'protcol' in workload; did you mean 'protocol'?",
            id="with a place and advice",
        ),
        pytest.param(Problem("mesh.yaml", 1, 1, "empty"), "mesh.yaml:1:1: empty", id="without advice"),
        pytest.param(Problem("mesh.yaml", 0, 0, "unreadable"), "mesh.yaml: unreadable", id="without a place"),
    ],
)
def test_a_problem_is_one_line(problem: Problem, line: str) -> None:
    assert str(problem) == line


def test_an_error_lists_problems_from_the_top() -> None:
    late, early = Problem("f", 9, 1, "late"), Problem("f", 2, 7, "early")
    error = ConfigError([late, early])
    assert error.problems == (early, late)
    assert str(error) == "f:2:7: early\nf:9:1: late"


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        pytest.param("protcol", "did you mean 'protocol'?", id="a slip"),
        pytest.param("PROTOCOL", "did you mean 'protocol'?", id="capitals"),
        pytest.param("xyz", "known are protocol, node", id="nothing like it"),
    ],
)
def test_suggestions(word: str, advice: str) -> None:
    assert suggest(word, ["protocol", "node"]) == advice
