"""What must be done before the proxy calls itself ready (hbone-controlplane 7.1) [pure]."""

from __future__ import annotations


class Readiness:
    """Named tasks; the proxy is ready while none is pending. A task may become pending again."""

    def __init__(self, *pending: str) -> None:
        self._pending = set(pending)

    def add(self, task: str) -> None:
        """`task` is not done, or no longer."""
        self._pending.add(task)

    def done(self, task: str) -> None:
        """`task` is done; nothing happens if it was."""
        self._pending.discard(task)

    @property
    def pending(self) -> list[str]:
        """Names of what is not done, sorted."""
        return sorted(self._pending)

    @property
    def is_ready(self) -> bool:
        """Whether nothing is pending."""
        return not self._pending

    def answer(self) -> tuple[int, str]:
        """Status and body for a probe."""
        if self.is_ready:
            return 200, "ready\n"
        return 500, f"not ready, pending: {', '.join(self.pending)}\n"
