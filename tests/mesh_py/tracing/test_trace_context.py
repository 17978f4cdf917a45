"""`traceparent`: what is one, and what is none (W3C Trace Context 3.2)."""

from __future__ import annotations

import pytest

from mesh_py.tracing.trace_context import TraceContext, parse_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be", True),
    ],
    ids=["sampled", "not sampled", "random id, sampled", "random id", "a later version", "with more behind it"],
)
def test_it_is_read(text: str, sampled: bool) -> None:
    assert parse_traceparent(text) == TraceContext(int(TRACE, 16), int(SPAN, 16), sampled)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01more",
        f"cc-{TRACE}-{SPAN}-01more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00{TRACE}-{SPAN}-01---",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE[1:]}٣-{SPAN}-01",
    ],
)
def test_it_is_none(text: str | None) -> None:
    assert parse_traceparent(text) is None


@pytest.mark.parametrize("sampled", [True, False])
def test_what_is_written_is_read_again(sampled: bool) -> None:
    context = TraceContext(1, 2, sampled)
    assert parse_traceparent(context.header) == context
    assert len(context.header) == 55
