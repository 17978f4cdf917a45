"""What processes write is kept to be judged, then shown."""

from __future__ import annotations

import asyncio
import io

from mesh_py.process.console import Console
from mesh_py.process.heard import Heard


async def test_others_wait_for_a_line() -> None:
    stream = io.StringIO()
    heard = Heard(Console(stream))
    heard.heard("a", "one")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(heard.until(lambda lines: ("b", "two") in lines, 30))
        await asyncio.sleep(0)
        assert not waiting.done()
        heard.heard("b", "two")
        assert await waiting
    assert (heard.lines, stream.getvalue()) == ([("a", "one"), ("b", "two")], "")


async def test_not_for_ever() -> None:
    assert not await Heard(Console(io.StringIO())).until(lambda lines: bool(lines), 0.001)


def test_live_lines_are_shown_and_no_longer_kept() -> None:
    stream = io.StringIO()
    heard = Heard(Console(stream))
    heard.go_live()
    heard.heard("node-a", "a line")
    assert (heard.lines, stream.getvalue()) == ([], "node-a  a line\n")
