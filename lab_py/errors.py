"""What can go wrong with a lab, each with the exit status that tells it (contract: 8 is a missing right or feature)."""

from __future__ import annotations

from typing import ClassVar


class LabError(Exception):
    """A lab cannot be built, or did not come up. Its text says what, where, and what to do."""

    status: ClassVar[int] = 1


class Unusable(LabError):
    """What was asked for makes no sense, or does not go together."""

    status = 2


class Missing(LabError):
    """This machine lacks a tool, a right or a kernel feature that the lab needs."""

    status = 8
