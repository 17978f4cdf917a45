"""Nonces by themselves; conversations with them are in test_subscription.py and test_sotw.py."""

from __future__ import annotations

from istiod_py.nonces import Nonces, Reply


def test_settled_means_that_the_last_answer_was_answered() -> None:
    nonces = Nonces()
    seen = [nonces.is_settled]
    first, second = nonces.next(), nonces.next()
    assert first != second
    assert nonces.judge(first, None) is Reply.ACK
    seen.append(nonces.is_settled)
    assert nonces.judge(second, "no") is Reply.NACK
    seen.append(nonces.is_settled)
    assert seen == [True, False, True]
    assert (nonces.acknowledged, nonces.refused, nonces.refusal) == (first, second, "no")
