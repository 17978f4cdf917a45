"""Which release of this project runs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Its version, as it is installed; `unknown` where it runs from a folder."""
    try:
        return version("hbone-mesh")
    except PackageNotFoundError:
        return "unknown"
