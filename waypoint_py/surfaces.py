"""The process's surfaces for people and probes: see `Layer7Surfaces`."""

from __future__ import annotations

from typing import Any

from mesh_py.admin.layer7_surfaces import Layer7Surfaces
from waypoint_py.config import Settings
from waypoint_py.data_plane import DataPlane
from waypoint_py.route_status import route_statuses


class Surfaces(Layer7Surfaces[Settings, DataPlane]):
    """With what became of each route."""

    component = "waypoint"

    def own_state(self) -> dict[str, Any]:
        """Routes by their parents, and what the manifests have of wrong."""
        plane = self._plane
        return {
            "routes": route_statuses(plane.context, plane.gateway_routes.gateway),
            "problems": plane.chains.problems,
        }
