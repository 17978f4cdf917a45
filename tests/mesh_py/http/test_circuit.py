"""Limits on what is under way."""

from __future__ import annotations

import pytest

from mesh_py.http.circuit import Circuit, CircuitLimits
from mesh_py.http.errors import UpstreamOverflow


def test_each_limit_refuses_one_too_many() -> None:
    circuit = Circuit(CircuitLimits(max_requests=2, max_retries=1))
    circuit.take_request()
    circuit.take_request()
    with pytest.raises(UpstreamOverflow, match="2 requests"):
        circuit.take_request()
    assert (circuit.take_retry(), circuit.take_retry()) == (True, False)
    assert circuit.overflows == 2


def test_what_is_given_back_may_be_taken_again() -> None:
    circuit = Circuit(CircuitLimits(max_requests=1))
    circuit.take_request()
    circuit.requests -= 1
    circuit.take_request()
    assert circuit.overflows == 0


def test_without_limits_nothing_is_refused() -> None:
    circuit = Circuit()
    for _ in range(1000):
        circuit.take_request()
    assert circuit.requests == 1000
