"""From Envoy's JSON form to its messages: strict, so that a misspelt field is our error and not a silence.

The messages come from a package that is big to import (xds-protos), so it is imported when the first one is packed.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf import json_format

from mesh_py.xds import types

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from istiod_py.envoy.extension import Json

_MODULES = {
    types.LISTENER: ("envoy.config.listener.v3.listener_pb2", "Listener"),
    types.ROUTE: ("envoy.config.route.v3.route_pb2", "RouteConfiguration"),
    types.CLUSTER: ("envoy.config.cluster.v3.cluster_pb2", "Cluster"),
    types.ENDPOINTS: ("envoy.config.endpoint.v3.endpoint_pb2", "ClusterLoadAssignment"),
    types.SECRET: ("envoy.extensions.transport_sockets.tls.v3.secret_pb2", "Secret"),
}

_EXTENSIONS = (
    "envoy.extensions.access_loggers.file.v3.file_pb2",
    "envoy.extensions.bootstrap.internal_listener.v3.internal_listener_pb2",
    "envoy.extensions.filters.http.cors.v3.cors_pb2",
    "envoy.extensions.filters.http.rbac.v3.rbac_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2",
    "envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2",
    "envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2",
    "envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2",
    "envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.filters.network.rbac.v3.rbac_pb2",
    "envoy.extensions.filters.network.set_filter_state.v3.set_filter_state_pb2",
    "envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2",
    "envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2",
    "envoy.extensions.path.match.uri_template.v3.uri_template_match_pb2",
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "envoy.extensions.transport_sockets.internal_upstream.v3.internal_upstream_pb2",
    "envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
    "google.protobuf.wrappers_pb2",
    "xds.type.matcher.v3.ip_pb2",
    "xds.type.v3.typed_struct_pb2",
)
"""Types that our resources pack into others. Parsing finds them once they are imported."""


class InvalidResourceError(ValueError):
    """A resource does not have the form of its type: a mistake of ours, named with its place."""


class Packed(NamedTuple):
    """A resource as the wire has it."""

    name: str
    body: bytes


def pack(type_url: str, name: str, resource: Json) -> Packed:
    """The wire form of a resource, the same for equal resources; the resource stays as it is.

    Raises:
        InvalidResourceError: a field is unknown, or of the wrong kind.
    """
    message = message_of(type_url)
    try:
        # A copy: it takes "@type" out, puts it back as the last key, and not at all after a fault. Parts are shared.
        json_format.ParseDict(_copy_of(resource), message)
    except json_format.ParseError as error:
        raise InvalidResourceError(f"{type_url.rpartition('.')[2]} {name!r}: {error}") from error
    return Packed(name, message.SerializeToString(deterministic=True))


def _copy_of(value: Any) -> Any:
    match value:
        case dict():
            return {key: _copy_of(part) for key, part in value.items()}
        case list():
            return [_copy_of(part) for part in value]
    return value


def message_of(type_url: str) -> Message:
    """A new message of a resource type, with all it may hold imported."""
    _import_extensions()
    module, name = _MODULES[type_url]
    message: Message = getattr(importlib.import_module(module), name)()
    return message


@cache
def _import_extensions() -> None:
    for name in _EXTENSIONS:
        importlib.import_module(name)
