"""Requests read from where they differ: the same as when they are read whole, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py.connect import read_request
from hbone_py.header_blocks import connect_block, list_size, literal, literals, read_plain
from hbone_py.openings import Openings

BAGGAGE = literal(b"baggage", b"k8s.namespace.name=shop")
FORWARDED = literal(b"forwarded", b'for="10.0.0.1:4711"')
TRACE = literal(b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-00")
USUAL = connect_block(b"10.0.0.7:80", BAGGAGE + FORWARDED + TRACE)


def taught(*blocks: bytes, limit: int = 10_000) -> Openings:
    openings = Openings(limit)
    for block in blocks:
        openings.learn(block)
    return openings


def test_what_begins_alike_is_read_from_where_it_differs() -> None:
    openings = taught(USUAL)
    other = connect_block(b"10.0.0.7:80", BAGGAGE + literal(b"forwarded", b'for="10.0.0.9:1";host=web') + TRACE)
    headers = read_plain(other)
    assert headers is not None
    request = openings.request(other)
    assert request == read_request(headers)
    assert request is not None
    assert other.startswith(request.opening + b"\x00\x09forwarded")


@pytest.mark.parametrize(
    "block",
    [
        connect_block(b"10.0.0.7:81", BAGGAGE + FORWARDED + TRACE),
        connect_block(b"10.0.0.7:80", FORWARDED + TRACE),
        connect_block(b"10.0.0.7:80", BAGGAGE),
        connect_block(b"10.0.0.7:80", BAGGAGE + FORWARDED),
        connect_block(b"10.0.0.7:80", BAGGAGE + TRACE + FORWARDED),
        connect_block(b"10.0.0.7:80", BAGGAGE + FORWARDED + TRACE + literal(b"x", b"y")),
        connect_block(b"10.0.0.7:80", BAGGAGE + FORWARDED + literal(b"te", b"gzip")),
        connect_block(b"10.0.0.7:80", BAGGAGE + literal(b"forwarded", b" for=x") + TRACE),
        connect_block(b"10.0.0.7:80", BAGGAGE + literal(b"forwarded", b"for\r\nx") + TRACE),
        connect_block(b"10.0.0.7:80", BAGGAGE + literal(b"forwarded", b"x" * 9000) + TRACE),
        connect_block(b"10.0.0.7:80", BAGGAGE + literal(b"forwarded", b"x" * 127) + TRACE),
        connect_block(b"10.0.0.7:80", BAGGAGE + literal(b"forwarded", b"") + TRACE),
        connect_block(b"10.0.0.7:80", BAGGAGE + FORWARDED + literal(b"traceparent", b"short")),
        USUAL[:-1],
        USUAL + b"\xbe",
        b"",
    ],
)
def test_whatever_else_must_be_read_whole(block: bytes) -> None:
    assert taught(USUAL, limit=9000).request(block) is None


@pytest.mark.parametrize(
    "opening",
    [
        b"",
        literal(b"x", b"no CONNECT"),
        literal(b":method", b"GET") + literal(b":path", b"/") + literal(b":scheme", b"http"),
        connect_block(b"10.0.0.7:80", literal(b"te", b"gzip")),
        connect_block(b"10.0.0.7:80", b"\xbe"),
        connect_block(b"10.0.0.7:80", BAGGAGE[:-3]),
    ],
)
def test_what_is_no_request_by_itself_is_not_learned(opening: bytes) -> None:
    assert taught(opening + FORWARDED + TRACE).request(opening + FORWARDED + TRACE) is None


def test_the_limit_of_header_lists_holds() -> None:
    headers = read_plain(USUAL)
    assert headers is not None
    framing = 6  # two representations, two lengths of names, two of values
    assert taught(USUAL, limit=list_size(headers) + framing).request(USUAL) is not None
    assert taught(USUAL, limit=list_size(headers) - 1).request(USUAL) is None


def test_only_so_many_are_kept() -> None:
    openings = taught(*[connect_block(b"10.0.0.7:%d" % port, FORWARDED + TRACE) for port in range(1, 200)])
    kept = [port for port in range(1, 200) if openings.request(connect_block(b"10.0.0.7:%d" % port, FORWARDED + TRACE))]
    assert 0 < len(kept) <= 64
    assert kept[-1] == 199


NAMES = st.sampled_from([b"baggage", b"forwarded", b"traceparent", b"x", b"te", b"host", b"content-length", b":path"])
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=12)), max_size=5)
TRACES = st.one_of(st.binary(min_size=55, max_size=55), st.binary(max_size=60))
ORDINARY = st.tuples(
    st.tuples(st.just(b"forwarded"), st.binary(max_size=200)), st.tuples(st.just(b"traceparent"), TRACES)
)
OWN = st.one_of(ORDINARY.map(list), HEADERS)


@given(HEADERS, OWN, OWN)
def test_it_is_never_read_otherwise_than_whole(
    opening: list[tuple[bytes, bytes]], first: list[tuple[bytes, bytes]], second: list[tuple[bytes, bytes]]
) -> None:
    begin = connect_block(b"10.0.0.7:80", literals(opening))
    block = begin + literals(second)
    request = taught(begin + literals(first)).request(block)
    if request is not None:
        headers = read_plain(block)
        assert headers is not None
        assert request == read_request(headers)
