"""How long to wait before the next stream, by how the last one ended (hbone-controlplane 2.6) [no I/O]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_py.model.route import Random

FIRST = 0.010
LONGEST = 15.0
"""Seconds."""
SETTLED = 1.0
"""Seconds after which a stream counts as one that worked, however it ended."""
JITTER = 0.5
"""Up to this part of a wait is left out, by chance: the proxies of a mesh must not come back all at once."""


class Ending(Enum):
    """How a stream ended; the value is what metrics call it."""

    CONNECTION_ERROR = "ConnectionError"
    """It never came to be: dial, TLS, or a refusal before the first answer."""
    RECONNECT = "Reconnect"
    """The server, or something between us, let go of it."""
    ERROR = "Error"
    """It broke, or there was something wrong on our side, such as a missing token."""
    COMPLETE = "Complete"
    """The server ended it in order, as istiod does with old connections."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait that came last, in seconds. Unlike ztunnel we wait with our own errors too, and with a server that ends
    every stream before it has said anything, or one after another as soon as it has: none must become a busy loop."""

    last: float = FIRST

    def after(
        self, ending: Ending, random: Random, *, was_useful: bool = True, lasted: float = SETTLED
    ) -> tuple[float, Backoff]:
        """Seconds to wait now, and the state to remember.

        Args:
            ending: how the stream ended.
            random: spreads the wait.
            was_useful: whether the server had said anything on it.
            lasted: seconds from the first attempt to open it to its end.
        """
        is_settled = lasted >= SETTLED
        next_one = Backoff() if is_settled else Backoff(FIRST * 2)
        match ending:
            case Ending.COMPLETE if was_useful and (is_settled or self == Backoff()):
                return 0.0, next_one
            case Ending.RECONNECT if is_settled or self == Backoff():
                return _spread(FIRST, random), next_one
            case _:
                wait = min(self.last * 2, LONGEST)
                return _spread(wait, random), Backoff(wait)


def _spread(wait: float, random: Random) -> float:
    return wait * (1 - JITTER * random())
