"""Whom one process serves (`PROXY_MODE`) [pure]."""

from __future__ import annotations

from enum import Enum

from mesh_py.settings.kinds import Kind


class Mode(Enum):
    """What one process serves (`PROXY_MODE`)."""

    NODE = "node"
    """All workloads of a node: found by source address on 15001, local address on 15008, destination on 15006."""
    DEDICATED = "dedicated"
    """One workload, named by `PROXY_WORKLOAD_INFO`."""
    SHARED = "shared"
    """All pods of a node, each in its own network namespace, as the node's agent announces them at `INPOD_UDS`."""


def _read(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError:
        raise ValueError("is none of node, dedicated, shared") from None


MODE = Kind(_read, "node|dedicated|shared", lambda mode: str(mode.value))
