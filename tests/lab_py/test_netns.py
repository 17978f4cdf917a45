"""Tools in namespaces: what one of them refuses is told with the line it stumbled over."""

from __future__ import annotations

import pytest

from lab_py import netns
from lab_py.errors import LabError, Missing
from lab_py.netns import need_tool


def test_a_tool_that_is_not_there() -> None:
    with pytest.raises(Missing, match=r"no command 'no-such-tool': `make system-deps` installs it") as found:
        need_tool("no-such-tool")
    assert found.value.status == 8


def test_the_first_of_several_tools() -> None:
    assert need_tool("no-such-tool", "sh").endswith("/sh")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        pytest.param("echo 'Command failed -:2' >&2; exit 1", "Command failed -:2: 'second'", id="ip -batch"),
        pytest.param("echo 'line 1 failed' >&2; exit 1", "line 1 failed: 'first'", id="iptables-restore"),
        pytest.param("exit 3", "status 3", id="without a word"),
    ],
)
def test_what_a_tool_refuses(script: str, complaint: str) -> None:
    with pytest.raises(LabError) as found:
        netns.run(["sh", "-c", script], "first\nsecond\n")
    assert complaint in str(found.value)


def test_a_tool_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "COMMAND_SECONDS", 0.05)
    with pytest.raises(LabError, match="no end after"):
        netns.run(["sleep", "5"], "")


def test_what_a_tool_says() -> None:
    assert netns.run(["cat"], "said\n") == "said\n"
