"""The two forms of ADS: how each reads requests into subscriptions, and puts what they take into messages.

A session is written once, for both. The delta form is what node proxies and today's Envoys speak; the
state-of-the-world form is what grpcio's own client speaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.json_format import MessageToDict

from istiod_py.sotw import State, StateRequest, StateSubscription
from istiod_py.subscription import Delta, DeltaRequest, DeltaSubscription
from mesh_py.xds.types import DELTA_DISCOVERY, ENDPOINTS, ROUTE, SECRET, STREAM_DISCOVERY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from istiod_py.nonces import Nonces, Reply
    from istiod_py.snapshot import Collection, Resource

LARGEST_ANSWER = 3 << 20
"""Bytes of resources in one delta answer. gRPC clients take messages of 4 MiB unless told otherwise."""

ALWAYS_NAMED = frozenset({ENDPOINTS, ROUTE, SECRET})
"""What a state-of-the-world client asks for by name only."""

CONTROL_PLANE = "istiod-py"


class Subscription(Protocol):
    """What a session needs of either kind."""

    nonces: Nonces
    is_wildcard: bool
    cost: int
    """Bytes that the names asked for cost us, roughly."""

    @property
    def asked(self) -> frozenset[str]:
        """The names asked for one by one."""

    @property
    def held(self) -> int:
        """How many resources the client has been sent."""

    def receive(self, request: Any, /) -> Reply:
        """Take in a request. Raises TooManyNamesError."""

    def send_again(self, names: Iterable[str]) -> None:
        """What the client asked for of these goes to it once more, held or not."""

    def take(self, collection: Collection, /) -> Any:
        """What the client is to be sent, None for nothing."""


class Dialect(Protocol):
    """One form of ADS."""

    method: str
    request_type: type[Any]
    response_type: type[Any]

    def subscription(self, type_url: str, node: str) -> Subscription:
        """A new subscription to a type, of a client on `node`."""

    def read(self, message: Any) -> Any:
        """A request as its subscription takes it."""

    def messages(self, type_url: str, update: Any, nonces: Nonces) -> Iterator[Any]:
        """What a subscription took, as one message or several."""


class DeltaDialect:
    """DeltaAggregatedResources."""

    method = DELTA_DISCOVERY
    request_type = discovery_pb2.DeltaDiscoveryRequest
    response_type = discovery_pb2.DeltaDiscoveryResponse

    def subscription(self, type_url: str, node: str) -> DeltaSubscription:
        """See Dialect."""
        return DeltaSubscription(node)

    def read(self, message: discovery_pb2.DeltaDiscoveryRequest) -> DeltaRequest:
        """See Dialect."""
        return DeltaRequest(
            tuple(message.resource_names_subscribe),
            tuple(message.resource_names_unsubscribe),
            dict(message.initial_resource_versions),
            message.response_nonce,
            refusal_of(message),
        )

    def messages(self, type_url: str, update: Delta, nonces: Nonces) -> Iterator[discovery_pb2.DeltaDiscoveryResponse]:
        """In parts that every client takes; what is removed is named in the last, after all that comes (2.4)."""
        parts = list(_parts(update.resources)) or [[]]
        for number, part in enumerate(parts, 1):
            message = discovery_pb2.DeltaDiscoveryResponse(
                removed_resources=update.removed if number == len(parts) else (),
                type_url=type_url,
                nonce=nonces.next(),
                control_plane={"identifier": CONTROL_PLANE},
            )
            for resource in part:
                _add(message, type_url, resource)
            yield message


class StateDialect:
    """StreamAggregatedResources."""

    method = STREAM_DISCOVERY
    request_type = discovery_pb2.DiscoveryRequest
    response_type = discovery_pb2.DiscoveryResponse

    def subscription(self, type_url: str, node: str) -> StateSubscription:
        """See Dialect."""
        return StateSubscription(has_wildcard=type_url not in ALWAYS_NAMED)

    def read(self, message: discovery_pb2.DiscoveryRequest) -> StateRequest:
        """See Dialect."""
        return StateRequest(tuple(message.resource_names), message.response_nonce, refusal_of(message))

    def messages(self, type_url: str, update: State, nonces: Nonces) -> Iterator[discovery_pb2.DiscoveryResponse]:
        """Always one: there is no other way to say that this is all."""
        message = discovery_pb2.DiscoveryResponse(
            version_info=update.version,
            type_url=type_url,
            nonce=nonces.next(),
            control_plane={"identifier": CONTROL_PLANE},
        )
        for resource in update.resources:
            message.resources.add(type_url=type_url, value=resource.body)
        yield message


def refusal_of(message: Any) -> str | None:
    """The text of a request's error_detail, None where there is none: its code may be 0 (hbone-controlplane 2.4)."""
    return message.error_detail.message if message.HasField("error_detail") else None


def metadata_of(node: Any) -> dict[str, Any]:
    """A node's metadata as plain values."""
    return MessageToDict(node.metadata) if node.HasField("metadata") else {}


def _add(message: discovery_pb2.DeltaDiscoveryResponse, type_url: str, resource: Resource) -> None:
    """Made in place: four times as fast as making it apart, and a full sync is mostly this."""
    added = message.resources.add(name=resource.name, version=resource.version, aliases=resource.aliases)
    added.resource.type_url = type_url
    added.resource.value = resource.body


def _parts(resources: tuple[Resource, ...]) -> Iterator[list[Resource]]:
    part: list[Resource] = []
    size = 0
    for resource in resources:
        length = len(resource.body) + len(resource.name) + 128
        if part and size + length > LARGEST_ANSWER:
            yield part
            part, size = [], 0
        part.append(resource)
        size += length
    if part:
        yield part
