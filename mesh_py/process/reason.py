"""Why the system refused something, in the words of one line that also says where and what to do."""

from __future__ import annotations


def reason_of(error: OSError) -> str:
    """Such as `permission denied`: without the number and the file, which the line names in its own way."""
    return (error.strerror or str(error)).lower()
