"""Routes for tests, written as people write them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest
from mesh_py.http.router import Forward, RouteTable
from mesh_py.manifests.reader import read_manifests
from mesh_py.manifests.routes import GRPCRoute, HTTPRoute

if TYPE_CHECKING:
    from mesh_py.http.router import Decision


def routes(*documents: str) -> list[HTTPRoute | GRPCRoute]:
    """The routes of some YAML documents, each the part of a route behind `spec:`, or a whole manifest."""
    text = "\n---\n".join(_whole(textwrap.dedent(document), number) for number, document in enumerate(documents))
    return [one for one in read_manifests(text, "routes.yaml").objects if isinstance(one, HTTPRoute | GRPCRoute)]


def _whole(document: str, number: int) -> str:
    if "kind:" in document.split("spec:")[0] and "apiVersion" in document:
        return document
    head = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
    parent = '  parentRefs: [{kind: Service, group: "", name: web}]\n'
    return f"{head}metadata: {{name: route-{number}}}\nspec:\n{parent}{textwrap.indent(document, '  ')}"


def table(*documents: str, by_hostname: bool = False) -> RouteTable:
    """The table of these routes."""
    return RouteTable(routes(*documents), by_hostname=by_hostname)


def request(path: str = "/", method: str = "GET", host: str = "web", **headers: str) -> HttpRequest:
    """A request; `_` in header names stands for `-`."""
    return HttpRequest(method, path, host, Headers((name.replace("_", "-"), value) for name, value in headers.items()))


def backend(decision: Decision) -> str:
    """The name of the backend that was chosen."""
    assert isinstance(decision, Forward)
    return decision.backend.name
