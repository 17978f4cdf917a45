"""Nonces by themselves; conversations with them are in test_subscription.py and test_sotw.py."""

from __future__ import annotations

from istiod_py.nonces import Nonces, Reply


def test_what_was_acknowledged_and_what_was_refused_is_remembered() -> None:
    nonces = Nonces()
    first, second = nonces.next(), nonces.next()
    assert first != second
    assert nonces.judge(first, None) is Reply.ACK
    assert nonces.judge(second, "no") is Reply.NACK
    assert (nonces.acknowledged, nonces.refused, nonces.refusal) == (first, second, "no")
