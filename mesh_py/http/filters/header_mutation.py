"""Headers changed for every request and response, whatever their route [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.filters.base import CONTINUE, Step, StreamInfo
from mesh_py.http.route_changes import change_headers
from mesh_py.manifests.route_filters import HeaderChanges

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest, HttpResponse

NO_CHANGES = HeaderChanges()


class HeaderMutation:
    """Sets, adds and removes."""

    def __init__(self, request: HeaderChanges = NO_CHANGES, response: HeaderChanges = NO_CHANGES) -> None:
        self._request, self._response = request, response

    def on_request(self, request: HttpRequest, info: StreamInfo) -> Step:
        """Change the request."""
        change_headers(request.headers, self._request)
        return CONTINUE

    def on_response(self, response: HttpResponse, info: StreamInfo) -> None:
        """Change the response."""
        change_headers(response.headers, self._response)
