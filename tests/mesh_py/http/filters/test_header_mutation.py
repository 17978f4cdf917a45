"""Headers of every request and response."""

from __future__ import annotations

from mesh_py.http.filters.base import CONTINUE
from mesh_py.http.filters.header_mutation import HeaderMutation
from mesh_py.http.messages import HttpResponse
from mesh_py.manifests.route_filters import Header, HeaderChanges
from tests.mesh_py.http.filters.streams import stream
from tests.mesh_py.http.routes import request


def test_both_ways() -> None:
    mutation = HeaderMutation(HeaderChanges(set=(Header("X-In", "1"),)), HeaderChanges(add=(Header("X-Out", "2"),)))
    asked, response = request(), HttpResponse(200)
    assert mutation.on_request(asked, stream()) is CONTINUE
    mutation.on_response(response, stream())
    assert (asked.headers.fields, response.headers.fields) == ([("x-in", "1")], [("x-out", "2")])
