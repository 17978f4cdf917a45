"""Timeouts of a client's connection at layer 7, with Envoy's defaults where it has some [pure]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """In seconds."""

    head: float = 30.0
    """From the first byte of a request's head to its last: slow heads are answered with 408."""
    silence: float = 300.0
    """Of a request under way, in both directions (Envoy's stream idle timeout)."""
    idle: float = 3600.0
    """Of a connection without a request (Envoy's)."""
    linger: float = 1.0
    """How long after our last byte the client's are still read: else it might not get ours (Envoy's delayed close)."""
    detection: float = 5.0
    """Until a client that says nothing is taken for one whose server speaks first."""


DEFAULT_TIMEOUTS = ClientTimeouts()
