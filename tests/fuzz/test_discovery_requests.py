"""Any sequence of discovery requests, of either form: answers or a status, never an error of ours."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from google.rpc.status_pb2 import Status
from grpclib.exceptions import GRPCError
from hypothesis import given
from hypothesis import strategies as st

from istiod_py.ads import FORMS
from istiod_py.snapshot import Resource
from mesh_py.xds.types import ADDRESS, AUTHORIZATION, CLUSTER, ENDPOINTS
from tests.support.discovery import SIDECAR_ID, ZTUNNEL_ID, Discovery, node_of

REAL_TYPES = (ADDRESS, AUTHORIZATION, CLUSTER, ENDPOINTS)
texts = st.one_of(st.sampled_from(("*", "cart", "/10.0.0.1", "shop/pay", "")), st.text(max_size=12))
names = st.lists(texts, max_size=4)
details = st.none() | st.builds(Status, code=st.integers(0, 16), message=st.text(max_size=8))
nodes = st.sampled_from((node_of(ZTUNNEL_ID, NODE_NAME="node-a"), node_of(SIDECAR_ID), node_of("nonsense"), None))
common = {
    "type_url": st.one_of(st.sampled_from(REAL_TYPES), st.text(max_size=12)),
    "response_nonce": st.one_of(st.sampled_from(("", "1", "2")), st.text(max_size=3)),
    "error_detail": details,
    "node": nodes,
}
deltas = st.builds(
    DeltaDiscoveryRequest,
    resource_names_subscribe=names,
    resource_names_unsubscribe=names,
    initial_resource_versions=st.dictionaries(texts, texts, max_size=3),
    **common,
)
state_requests = st.builds(DiscoveryRequest, resource_names=names, version_info=texts, **common)
requests = st.one_of(
    st.tuples(st.just("delta"), st.lists(deltas, min_size=1, max_size=8)),
    st.tuples(st.just("state"), st.lists(state_requests, min_size=1, max_size=8)),
)


class Peer(SimpleNamespace):
    """Somebody of this machine, in plaintext."""

    is_secure = False
    unsent = 0
    identities = ()

    def __str__(self) -> str:
        return "127.0.0.1:9"


@dataclass
class Stream:
    """What a handler is given; it says its requests and then ends."""

    requests: list[Any]
    sent: list[Any] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    peer: Peer = field(default_factory=lambda: Peer(draining=asyncio.Event()))

    async def recv_message(self) -> Any:
        for _ in range(3):
            await asyncio.sleep(0)  # the writer has its turns
        return self.requests.pop(0) if self.requests else None

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        if (message := await self.recv_message()) is None:
            raise StopAsyncIteration
        return message

    async def send_message(self, message: Any) -> None:
        message.SerializeToString()
        self.sent.append(message)


async def held(form: str, requests: list[Any]) -> tuple[Discovery, Stream]:
    """The conversation, with a change in its midst."""
    discovery = Discovery()
    discovery.publish(ADDRESS, Resource("cart", b"1", ("/10.0.0.1",), "node-a"))
    stream = Stream(list(requests))
    async with asyncio.TaskGroup() as group:
        group.create_task(change(discovery))
        with contextlib.suppress(GRPCError):
            await discovery.service().__mapping__()[FORMS[form].method].func(stream)
    return discovery, stream


async def change(discovery: Discovery) -> None:
    await asyncio.sleep(0)
    discovery.publish(ADDRESS, Resource("cart", b"2", ("/10.0.0.1",), "node-b"), Resource("shop/pay", b"1"))


@given(requests)
def test_any_conversation_is_held_to_its_end(conversation: tuple[str, list[Any]]) -> None:
    discovery, stream = asyncio.run(held(*conversation))
    assert len(discovery.clients) == 0
    assert discovery.count("pilot_total_xds_internal_errors") == 0
    nonces = [(message.type_url, message.nonce) for message in stream.sent]
    assert len(set(nonces)) == len(nonces)
    for message in stream.sent:
        assert message.type_url in {request.type_url for request in conversation[1]}


@pytest.mark.parametrize("form", ["delta", "state"])
def test_the_conversations_are_real_ones(form: str) -> None:
    """The stand-in for a stream carries a sound conversation as a real one does."""
    kinds: dict[str, Any] = {"delta": DeltaDiscoveryRequest, "state": DiscoveryRequest}
    opening = kinds[form](type_url=ADDRESS, node=node_of(ZTUNNEL_ID))
    _, stream = asyncio.run(held(form, [opening, kinds[form](type_url=ADDRESS, response_nonce="1")]))
    assert [len(message.resources) for message in stream.sent] == ([1, 2] if len(stream.sent) == 2 else [2])
