"""Our values as Envoy's messages, and back."""

from __future__ import annotations

from mesh_py.xds.delta import Request, Resource, Response
from mesh_py.xds.messages import DeltaResponse, request_message, response_of
from mesh_py.xds.node import Node

NODE = Node("ztunnel~1.1.1.1~.~.svc.cluster.local", {"NAME": "z", "LABELS": {"a": ["b", 1, None]}})


def test_a_first_request_says_who_asks() -> None:
    message = request_message(Request("t", ("*", "a"), ("*",), {"a": "v1"}, is_first=True), NODE)
    assert message.node.id == NODE.id
    assert message.node.metadata["LABELS"]["a"][0] == "b"
    assert list(message.resource_names_subscribe) == ["*", "a"]
    assert list(message.resource_names_unsubscribe) == ["*"]
    assert dict(message.initial_resource_versions) == {"a": "v1"}
    assert not message.HasField("error_detail")


def test_other_requests_do_not() -> None:
    assert not request_message(Request("t", nonce="n"), NODE).HasField("node")


def test_a_refusal_has_a_message_and_no_code() -> None:
    message = request_message(Request("t", nonce="n", error="a: bad"), NODE)
    assert (message.error_detail.code, message.error_detail.message) == (0, "a: bad")


def test_an_empty_reason_is_a_refusal_all_the_same() -> None:
    assert request_message(Request("t", nonce="n", error=""), NODE).HasField("error_detail")


async def test_a_response_with_all_it_may_have() -> None:
    message = DeltaResponse(type_url="t", nonce="n", removed_resources=["gone"], system_version_info="ignored")
    found = message.resources.add(name="a", version="v", aliases=["b"])
    found.resource.type_url = "another type"
    found.resource.value = b"\x01"
    assert await response_of(message) == Response("t", "n", [Resource("a", b"\x01", "v", ("b",))], ("gone",))
