"""Marks of redirection a.1: what they have in common decides what matches what."""

from __future__ import annotations

from lab_py.redirect import names


def bits(mark: str) -> tuple[int, int]:
    value, _, mask = mark.partition("/")
    return int(value, 16), int(mask, 16)


def matches(mark: str, test: str) -> bool:
    value, mask = bits(test)
    return bits(mark)[0] & mask == value


def test_both_kinds_of_skipped_traffic_skip_and_neither_is_the_other() -> None:
    assert matches(names.CONN_SKIP, names.SKIP)
    assert matches(names.PROXY, names.SKIP)
    assert not matches(names.PROXY, names.CONN_SKIP)
    assert not matches(names.CONN_SKIP, names.PROXY)


def test_captured_traffic_and_replies_do_not_skip() -> None:
    assert not matches(names.OUTBOUND, names.SKIP)
    assert not matches(names.PROXY_RETURN, names.SKIP)


def test_the_sidecars_mark_is_its_uid() -> None:
    assert bits(names.PROXY_MARK)[0] == names.PROXY_ID
