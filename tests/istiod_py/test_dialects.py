"""Both forms of ADS: requests as subscriptions take them, updates as messages."""

from __future__ import annotations

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from google.rpc.status_pb2 import Status

from istiod_py.dialects import LARGEST_ANSWER, DeltaDialect, StateDialect, metadata_of
from istiod_py.nonces import Nonces
from istiod_py.snapshot import Resource
from istiod_py.sotw import State, StateRequest
from istiod_py.subscription import Delta, DeltaRequest
from mesh_py.xds.types import ADDRESS, ENDPOINTS, LISTENER
from tests.support.discovery import node_of

CART = Resource("cart", b"body", ("/10.0.0.1",))


def test_a_delta_request_is_read_whole() -> None:
    message = DeltaDiscoveryRequest(
        resource_names_subscribe=["a"],
        resource_names_unsubscribe=["*"],
        initial_resource_versions={"b": "1"},
        response_nonce="7",
        error_detail=Status(message="bad"),
    )
    assert DeltaDialect().read(message) == DeltaRequest(("a",), ("*",), {"b": "1"}, "7", "bad")


@pytest.mark.parametrize(
    ("detail", "refusal"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(Status(), "", id="there and empty: code 0 is what the real ztunnel sends"),
        pytest.param(Status(code=3), "", id="a code alone"),
    ],
)
def test_a_refusal_is_known_by_its_presence(detail: Status | None, refusal: str | None) -> None:
    assert DeltaDialect().read(DeltaDiscoveryRequest(error_detail=detail)).refusal == refusal
    assert StateDialect().read(DiscoveryRequest(error_detail=detail)) == StateRequest((), "", refusal)


def test_a_delta_names_type_version_and_aliases() -> None:
    nonces = Nonces()
    [message] = DeltaDialect().messages(ADDRESS, Delta((CART,), ("gone",)), nonces)
    assert (message.type_url, message.nonce, list(message.removed_resources)) == (ADDRESS, nonces.sent, ["gone"])
    [resource] = message.resources
    assert (resource.name, resource.version, list(resource.aliases)) == ("cart", CART.version, ["/10.0.0.1"])
    assert (resource.resource.type_url, resource.resource.value) == (ADDRESS, b"body")


def test_an_empty_delta_is_a_message_too() -> None:
    [message] = DeltaDialect().messages(ADDRESS, Delta(), Nonces())
    assert message.type_url == ADDRESS


def test_one_resource_larger_than_a_message_goes_alone() -> None:
    large, small = Resource("large", bytes(LARGEST_ANSWER + 1)), Resource("small", b"")
    messages = list(DeltaDialect().messages(ADDRESS, Delta((small, large, small)), Nonces()))
    assert [[one.name for one in message.resources] for message in messages] == [["small"], ["large"], ["small"]]
    assert len({message.nonce for message in messages}) == 3


def test_a_state_is_one_message_with_a_version() -> None:
    [message] = StateDialect().messages(LISTENER, State("v1", (CART,)), Nonces())
    assert (message.version_info, message.resources[0].type_url) == ("v1", LISTENER)


def test_endpoints_are_never_everything_and_listeners_may_be() -> None:
    for type_url, is_everything in ((ENDPOINTS, False), (LISTENER, True)):
        subscription = StateDialect().subscription(type_url, "")
        subscription.receive(StateRequest())
        assert subscription.is_wildcard is is_everything


def test_metadata_is_plain_values() -> None:
    message = DeltaDiscoveryRequest(node=node_of(NODE_NAME="a", deep={"x": [1, None, True]}))
    assert metadata_of(message.node) == {"NODE_NAME": "a", "deep": {"x": [1.0, None, True]}}
    assert metadata_of(DeltaDiscoveryRequest().node) == {}
