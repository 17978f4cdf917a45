"""What every part of one waypoint shares."""

from __future__ import annotations

from mesh_py.proxy.context import ProxyContext
from waypoint_py.config import Settings

WaypointContext = ProxyContext[Settings]
