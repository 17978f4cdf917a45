"""What the author of a manifest should know: left out, widened, in conflict, without effect [pure].

A notice never stops the conversion. `istiod_py check` prints them like a linter, and the debug views show them where
Istio writes the status of an object.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mesh_py.manifests.metadata import Metadata, Place


class Severity(Enum):
    """Whether an object is used otherwise than written, or not at all."""

    WARNING = "warning"
    ERROR = "error"


class Notice(NamedTuple):
    """One remark about one object."""

    place: Place
    code: str
    """Stable, for scripts and for looking up: `ambient-l7-rule`, say."""
    subject: str
    """The object: `AuthorizationPolicy shop/only-web`."""
    what: str
    advice: str = ""
    severity: Severity = Severity.WARNING

    def __str__(self) -> str:
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.place}: {self.subject}: {self.what}{advice} [{self.code}]"


def notice(
    kind: str,
    metadata: Metadata,
    code: str,
    what: str,
    advice: str = "",
    *,
    severity: Severity = Severity.WARNING,
    place: Place | None = None,
) -> Notice:
    """A remark about an object, at its own place unless a closer one is given."""
    return Notice(place or metadata.place, code, f"{kind} {metadata.key}", what, advice, severity)
