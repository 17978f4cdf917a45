"""What every part of one sidecar shares."""

from __future__ import annotations

from mesh_py.proxy.context import ProxyContext
from sidecar_py.config import Settings

SidecarContext = ProxyContext[Settings]
