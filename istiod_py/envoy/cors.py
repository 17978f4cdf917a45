"""Cross-origin requests: the filter, and what a route tells it [pure]."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from istiod_py.envoy.extension import extension, typed

if TYPE_CHECKING:
    from istiod_py.envoy.extension import Json
    from mesh_py.manifests.route_filters import Cors

NAME = "envoy.filters.http.cors"
CORS_FILTER: Json = extension(NAME, "envoy.extensions.filters.http.cors.v3.Cors")
"""Does nothing but where a route asks for it."""


def cors_of_route(cors: Cors) -> Json:
    """Field of a route: answers preflight requests, and marks responses."""
    policy: Json = {
        "allow_origin_string_match": [_origin(one) for one in cors.allow_origins],
        "allow_credentials": cors.allow_credentials,
        "max_age": str(cors.max_age),
        # Answered here as well, without the header that would let the page have it.
        "forward_not_matching_preflights": False,
    }
    lists = {
        "allow_methods": cors.allow_methods,
        "allow_headers": cors.allow_headers,
        "expose_headers": cors.expose_headers,
    }
    policy |= {name: ",".join(values) for name, values in lists.items() if values}
    return {"typed_per_filter_config": {NAME: typed("envoy.extensions.filters.http.cors.v3.CorsPolicy", policy)}}


def _origin(pattern: str) -> Json:
    """`*` anywhere stands for anything: `https://*.example.org`."""
    if "*" not in pattern:
        return {"exact": pattern}
    return {"safe_regex": {"regex": ".*".join(re.escape(part) for part in pattern.split("*"))}}
