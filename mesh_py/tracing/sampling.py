"""Which traces are recorded, by the names and rules of OpenTelemetry's samplers [pure].

https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers
"""

from __future__ import annotations

from dataclasses import dataclass

_PARENT = "parentbased_"
_KINDS = ("always_on", "always_off", "traceidratio")
SAMPLERS = (*_KINDS, *(_PARENT + kind for kind in _KINDS))
_LOW = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Sampler:
    """One of `SAMPLERS`, with its share of traces."""

    name: str = "parentbased_always_on"
    ratio: float = 1.0
    """From 0 to 1; counts for `traceidratio` alone."""

    @property
    def share(self) -> float:
        """Of the traces that begin here, how many are recorded."""
        match self.name.removeprefix(_PARENT):
            case "always_on":
                return 1.0
            case "always_off":
                return 0.0
            case _:
                return self.ratio

    def records(self, trace_id: int, parent: bool | None) -> bool:
        """Whether to record a span.

        The same trace is judged alike everywhere, since its id decides and not a dice.

        Args:
            parent: whether its parent is recorded; None where there is no parent, or none that has decided.
        """
        if parent is not None and self.name.startswith(_PARENT):
            return parent
        return (trace_id & _LOW) < self.share * (1 << 64)
