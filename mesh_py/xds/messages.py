"""Our values of the delta conversation and Envoy's messages for them (hbone-controlplane 1.4).

The messages' package is large: import this where a stream is about to be opened, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envoy.service.discovery.v3 import discovery_pb2

from mesh_py.xds.delta import Resource, Response
from mesh_py.xds.time_slices import in_slices

if TYPE_CHECKING:
    from mesh_py.xds.delta import Request
    from mesh_py.xds.node import Node

DeltaRequest = discovery_pb2.DeltaDiscoveryRequest
DeltaResponse = discovery_pb2.DeltaDiscoveryResponse


def request_message(request: Request, node: Node) -> discovery_pb2.DeltaDiscoveryRequest:
    """A request as it is sent. Who we are goes into the first of each type alone (2.2)."""
    message = DeltaRequest(
        type_url=request.type_url,
        resource_names_subscribe=request.subscribe,
        resource_names_unsubscribe=request.unsubscribe,
        initial_resource_versions=request.versions,
        response_nonce=request.nonce,
    )
    if request.error is not None:
        message.error_detail.message = request.error  # the code stays 0, as ztunnel has it (2.4)
    if request.is_first:
        message.node.id = node.id
        message.node.metadata.update(node.metadata)
    return message


async def response_of(message: discovery_pb2.DeltaDiscoveryResponse) -> Response:
    """A response as we use it, with pauses if it is large.

    What it contains is of the response's type, whatever a resource says of itself (1.4).
    """
    resources = [_resource(found) async for found in in_slices(message.resources)]
    return Response(message.type_url, message.nonce, resources, tuple(message.removed_resources))


def _resource(message: discovery_pb2.Resource) -> Resource:
    return Resource(message.name, message.resource.value, message.version, tuple(message.aliases))
