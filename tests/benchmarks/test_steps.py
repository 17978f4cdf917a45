"""Samples become steps, and steps cost what the kernel accounts."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.plan import Kind
from benchmarks.scenarios import SCENARIOS
from benchmarks.steps import (
    FRAMES,
    HTTP,
    MESH,
    OPEN,
    RECEIVE,
    REST,
    ROLE,
    SEND,
    TELEMETRY,
    TLS,
    WAKING,
    Frame,
    costs,
    parse_stacks,
    profile_for,
    samples_by_step,
    step_of,
    steps_table,
)


@pytest.mark.parametrize(
    ("file", "text", "step"),
    [
        pytest.param("hbone_py/aio/relay.py", "count = self.sock.send(pieces[0])", SEND, id="a call in any file"),
        pytest.param("mesh_py/http/x.py", "count = self.sock.recv_into(view)", RECEIVE, id="receive"),
        pytest.param("hbone_py/aio/tcp.py", "code = self._sock.connect_ex(address)", OPEN, id="connect"),
        pytest.param("asyncio/runners.py", "return self._loop.run_until_complete(task)", WAKING, id="the loop"),
        pytest.param("hbone_py/tls/direct.py", "count = ssl_read(self._ssl)", TLS, id="TLS"),
        pytest.param("hbone_py/flow.py", "self.skip(0)", FRAMES, id="windows"),
        pytest.param("mesh_py/http/h1_head.py", "return head", HTTP, id="heads"),
        pytest.param("mesh_py/telemetry/metrics.py", "x += 1", TELEMETRY, id="metrics"),
        pytest.param("mesh_py/policy/rbac.py", "return verdict", MESH, id="policy"),
        pytest.param("waypoint_py/forward.py", "return way", ROLE, id="the role"),
        pytest.param("json/decoder.py", "x", REST, id="anybody else"),
    ],
)
def test_a_frame_belongs_to_a_step(file: str, text: str, step: str) -> None:
    assert step_of(Frame("f", file, 1), text) == step


def test_py_spy_s_lines_are_read() -> None:
    stacks = parse_stacks("Runner.run (asyncio/runners.py:118);a b (<string>:3) 7\n<module> (x.py) 2\n")
    assert stacks == Counter(
        {
            (Frame("Runner.run", "asyncio/runners.py", 118), Frame("a b", "<string>", 3)): 7,
            (Frame("<module>", "x.py", 0),): 2,
        }
    )
    assert samples_by_step(stacks, lambda file, line: "") == {WAKING: 7, REST: 2}  # generated code has no file


def test_kernel_time_goes_to_system_calls_and_the_rest_to_the_rest() -> None:
    found = costs({SEND: 30, WAKING: 10, TLS: 5, FRAMES: 15}, user=8, kernel=20)
    assert found == {WAKING: 5, SEND: 15, TLS: 2, FRAMES: 6}
    text = steps_table({"steps": found, "unit": "us"})
    assert "15.0 | 54 %  |" in text
    assert "28.0 |       |" in text


def test_every_kind_that_is_sampled_has_its_profile() -> None:
    assert {profile_for(s) for s in SCENARIOS if s.kind is not Kind.IDLE} == {
        *("bulk", "round-trip", "connect", "layer-7")
    }
