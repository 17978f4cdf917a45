"""The discovery service towards grpcio's plain stubs: who is let in, what is sent, who is cut off."""

from __future__ import annotations

import logging
import time

import grpc
import pytest

from istiod_py.clients import Clients, NameBudget
from istiod_py.dialects import LARGEST_ANSWER
from istiod_py.session import MOST_TYPES, SessionLimits
from istiod_py.snapshot import Resource
from istiod_py.subscription import NAME_COST
from mesh_py.identity.tokens import Caller
from mesh_py.rpc.server import ServerLimits
from mesh_py.xds.types import ADDRESS, AUTHORIZATION, CLUSTER, ENDPOINTS, LISTENER, ROUTE, WORKLOAD
from tests.support.discovery import SIDECAR_ID, ZTUNNEL, Discovery, bodies, names, node_of
from tests.support.processes import eventually

pytestmark = pytest.mark.interop

CART, PAY = Resource("cart", b"1", ("/10.0.0.1",), "node-a"), Resource("pay", b"1")


async def test_a_ztunnel_opens_two_types_and_both_are_answered_though_there_is_nothing(proxy, address):
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of())
        await stream.says(node=node_of(), type_url=AUTHORIZATION)
        first, second = await stream.hears(), await stream.hears()
        assert {first.type_url, second.type_url} == {ADDRESS, AUTHORIZATION}
        assert [bool(answer.nonce) for answer in (first, second)] == [True, True]
        assert [len(answer.resources) for answer in (first, second)] == [0, 0]
        assert discovery.count("pilot_xds", "test") == 1
        await stream.ends()
        assert await stream.status() == (grpc.StatusCode.OK, "")
        await eventually(lambda: discovery.count("pilot_xds", "test") == 0, "the proxy gone")


async def test_a_change_reaches_the_proxy_as_the_change_alone(proxy, address):
    async with Discovery().on(address) as discovery:
        discovery.publish(ADDRESS, CART, PAY)
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of())
        assert bodies(await stream.acknowledges()) == {"cart": b"1", "pay": b"1"}
        discovery.publish(ADDRESS, CART, Resource("new", b"x"))
        answer = await stream.acknowledges()
        assert (names(answer), list(answer.removed_resources)) == ({"new"}, ["pay"])
        assert answer.resources[0].resource.type_url == ADDRESS
        assert answer.resources[0].version == Resource("new", b"x").version
        assert discovery.count("pilot_proxy_convergence_time_count") == 1


async def test_on_demand_by_address(proxy, address):
    async with Discovery().on(address) as discovery:
        discovery.publish(ADDRESS, CART, PAY)
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of(), resource_names_subscribe=["*"], resource_names_unsubscribe=["*"])
        assert not (await stream.acknowledges()).resources
        await stream.says(resource_names_subscribe=["/10.0.0.1"])
        answer = await stream.acknowledges()
        assert (names(answer), list(answer.removed_resources)) == ({"cart"}, ["/10.0.0.1"])
        assert list(answer.resources[0].aliases) == ["/10.0.0.1"]


async def test_the_node_of_the_metadata_brings_its_workloads(proxy, address):
    async with Discovery().on(address) as discovery:
        discovery.publish(ADDRESS, CART, PAY)
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(
            node=node_of(NODE_NAME="node-a"), resource_names_subscribe=["*"], resource_names_unsubscribe=["*"]
        )
        assert names(await stream.hears()) == {"cart"}


async def test_after_a_reconnect_only_the_difference_comes(proxy, address):
    async with Discovery().on(address) as discovery:
        discovery.publish(ADDRESS, CART, PAY)
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of(), initial_resource_versions={"cart": CART.version, "gone": "1"})
        answer = await stream.hears()
        assert (names(answer), list(answer.removed_resources)) == ({"pay"}, ["gone"])


async def test_types_are_pushed_in_their_order(proxy, address):
    types = [ROUTE, WORKLOAD, ADDRESS, "type.googleapis.com/other.Type", LISTENER, ENDPOINTS, CLUSTER]
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        for type_url in types:
            await stream.says(node=node_of(), type_url=type_url)
            await stream.hears()
        for type_url in types:
            discovery.publish(type_url, CART)  # the writer has no turn before the last
        heard = [(await stream.hears()).type_url for _ in types]
        assert heard == [CLUSTER, ENDPOINTS, LISTENER, ROUTE, ADDRESS, WORKLOAD, types[3]]


async def test_a_refusal_is_counted_logged_and_not_answered_with_the_same(proxy, address, caplog):
    async with Discovery().on(address) as discovery:
        discovery.publish(ADDRESS, CART)
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of())
        answer = await stream.hears()
        await stream.says(nonce=answer.nonce, refusal="cart: no such protocol")
        await eventually(lambda: discovery.count("pilot_total_xds_rejects", "wds") == 1, "the refusal counted")
        assert caplog.records[-1].fields == {"reason": "cart: no such protocol"}
        discovery.publish(ADDRESS, Resource("cart", b"1"), PAY)
        assert names(await stream.hears()) == {"pay"}


async def test_a_large_state_comes_in_messages_that_every_client_takes(proxy, address):
    """grpcio takes 4 MiB unless told otherwise."""
    async with Discovery().on(address) as discovery:
        large = [Resource(f"r{number}", bytes(1 << 20)) for number in range(7)]
        discovery.publish(ADDRESS, *large)
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of(), initial_resource_versions={"gone": "1"})
        heard: set[str] = set()
        parts = []
        while len(heard) < len(large):
            parts.append(await stream.acknowledges())
            heard |= names(parts[-1])
        assert len(parts) == 4
        assert all(part.ByteSize() <= LARGEST_ANSWER + 4096 for part in parts)
        assert [list(part.removed_resources) for part in parts] == [[], [], [], ["gone"]]
        await eventually(lambda: discovery.count("pilot_xds_expired_nonce", "wds") == 0, "no nonce stale")


async def test_the_whole_state_to_whoever_wants_it_so(proxy, address):
    async with Discovery().on(address) as discovery:
        discovery.publish(CLUSTER, CART, PAY)
        stream = proxy(discovery.port).state(CLUSTER)
        await stream.says(node=node_of(SIDECAR_ID))
        answer = await stream.hears()
        assert {one.value for one in answer.resources} == {b"1"}
        assert answer.resources[0].type_url == answer.type_url == CLUSTER
        await stream.says(nonce=answer.nonce, version_info=answer.version_info)
        discovery.publish(CLUSTER, CART)
        again = await stream.hears()
        assert len(again.resources) == 1
        assert again.version_info != answer.version_info


# Who is let in


async def test_in_plaintext_nobody_has_to_say_who_he_is(proxy, address):
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of())
        await stream.hears()
        [client] = discovery.clients
        assert client.caller is None


@pytest.mark.parametrize("secure", [False, True], ids=["plaintext", "TLS"])
async def test_a_token_that_is_shown_is_checked(proxy, address, server_files, secure, caplog):
    async with Discovery().on(address, server_files if secure else None) as discovery:
        token = Discovery().tokens.mint(ZTUNNEL, time.time())
        stream = proxy(discovery.port, secure=secure).delta(ADDRESS, token)
        code, text = await stream.status()
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert "request authenticate failure" in text
        assert discovery.count("citadel_server_authentication_failure_count", "foreign") == 1
        assert "signed with another key" in caplog.text


async def test_over_tls_a_token_is_needed(proxy, address, server_files):
    async with Discovery().on(address, server_files) as discovery:
        stream = proxy(discovery.port, secure=True).delta(ADDRESS)
        assert (await stream.status())[0] is grpc.StatusCode.UNAUTHENTICATED
        token = discovery.tokens.mint(ZTUNNEL, time.time())
        stream = proxy(discovery.port, secure=True).delta(ADDRESS, token)
        await stream.says(node=node_of(SERVICE_ACCOUNT="ztunnel"))
        await stream.hears()
        [client] = discovery.clients
        assert client.caller == ZTUNNEL


async def test_a_client_certificate_says_who_calls(proxy, address, server_files, root):
    async with Discovery().on(address, server_files) as discovery:
        files = root.issue("cart", "shop/cart")
        pair = files.key.read_bytes(), files.chain.read_bytes()
        stream = proxy(discovery.port, secure=True, pair=pair).delta(ADDRESS)
        await stream.says(node=node_of(SIDECAR_ID, SERVICE_ACCOUNT="cart"))
        await stream.hears()
        [client] = discovery.clients
        assert client.caller == Caller("shop", "cart")


async def test_a_certificate_of_another_trust_domain_says_nothing(proxy, address, server_files, root):
    async with Discovery().on(address, server_files) as discovery:
        files = root.issue("alien", "shop/cart", trust_domain="elsewhere")
        pair = files.key.read_bytes(), files.chain.read_bytes()
        stream = proxy(discovery.port, secure=True, pair=pair).delta(ADDRESS)
        assert (await stream.status())[0] is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("id", "metadata"),
    [
        pytest.param("ztunnel~10.0.0.9~ztunnel-x.kube-system~x", {}, id="another namespace"),
        pytest.param("ztunnel~10.0.0.9~ztunnel-x.istio-system~x", {"SERVICE_ACCOUNT": "istiod"}, id="another account"),
    ],
)
async def test_a_proxy_is_what_its_token_says(proxy, address, id, metadata):
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS, discovery.tokens.mint(ZTUNNEL, time.time()))
        await stream.says(node=node_of(id, **metadata))
        code, text = await stream.status()
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert "istio-system/ztunnel" in text
        assert discovery.count("pilot_xds_identity_mismatch") == 1


@pytest.mark.parametrize("form", ["delta", "state"])
async def test_a_node_that_cannot_be_understood_is_refused(proxy, address, form):
    async with Discovery().on(address) as discovery:
        stream = getattr(proxy(discovery.port), form)(ADDRESS)
        await stream.says(node=node_of("nobody"))
        code, text = await stream.status()
        assert (code, "has 1 parts" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)


async def test_before_there_is_a_state_nobody_is_served(proxy, address):
    async with Discovery(is_ready=False).on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        assert (await stream.status())[0] is grpc.StatusCode.UNAVAILABLE


# What a client may take


async def test_types_are_limited(proxy, address):
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        for number in range(MOST_TYPES + 1):
            await stream.says(node=node_of(), type_url=f"type.googleapis.com/{number}")
        assert (await stream.status())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert discovery.count("pilot_xds_turned_away", "types") == 1


async def test_streams_are_limited(proxy, address):
    async with Discovery(clients=Clients(most=1)).on(address) as discovery:
        first = proxy(discovery.port).delta(ADDRESS)
        await first.says(node=node_of())
        await first.hears()
        second = proxy(discovery.port).delta(ADDRESS)
        await second.says(node=node_of())
        assert (await second.status())[0] is grpc.StatusCode.UNAVAILABLE
        first.drop()
        await eventually(lambda: not len(discovery.clients), "the first gone")


async def test_whoever_says_nothing_is_not_waited_for(proxy, address):
    async with Discovery(limits=SessionLimits(first_request=0.05)).on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        assert (await stream.status())[0] is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_client_that_never_reads_is_cut_off_and_others_are_served(proxy, address):
    """grpcio takes what its window holds and no more until somebody reads."""
    async with Discovery(limits=SessionLimits(send=0.2)).on(address) as discovery:
        discovery.publish(ADDRESS, CART)
        lazy, keen = proxy(discovery.port).delta(ADDRESS), proxy(discovery.port).delta(ADDRESS)
        for stream in (lazy, keen):
            await stream.says(node=node_of())
        await keen.hears()
        for number in range(12):
            discovery.publish(ADDRESS, Resource("cart", bytes([number]) * (3 << 20)))
            assert len(bodies(await keen.acknowledges())["cart"]) == 3 << 20
        await eventually(lambda: discovery.count("pilot_xds_write_timeout") == 1, "the lazy one cut off")
        await eventually(lambda: len(discovery.clients) == 1, "the lazy one gone")
        discovery.publish(ADDRESS, PAY)
        assert names(await keen.hears()) == {"pay"}


async def test_clients_that_leave_in_the_middle_are_nobodys_fault(proxy, address, caplog):
    async with Discovery().on(address) as discovery:
        discovery.publish(ADDRESS, Resource("large", bytes(2 << 20)))
        for number in range(20):
            client = proxy(discovery.port)
            stream = client.delta(ADDRESS)
            await stream.says(node=node_of())
            if number % 2:
                stream.drop()
            else:
                await client.channel.close()
            discovery.publish(ADDRESS, Resource("large", bytes([number]) * (2 << 20)))
        await eventually(lambda: not len(discovery.clients), "all gone")
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
        assert discovery.count("pilot_total_xds_internal_errors") == 0


async def test_at_our_end_streams_end_politely_and_no_new_ones_begin(proxy, address):
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of())
        await stream.hears()
        discovery.clients.end_all()
        assert await stream.status() == (grpc.StatusCode.OK, "")
        late = proxy(discovery.port).delta(ADDRESS)
        await late.says(node=node_of())
        assert (await late.status())[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_stream_ends_politely_before_its_connection_is_ended_for_its_age(proxy, address):
    async with Discovery().on(address, limits=ServerLimits(age=0.2, grace=10.0)) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of())
        await stream.hears()
        assert await stream.status() == (grpc.StatusCode.OK, "")


async def test_names_are_limited(proxy, address, monkeypatch):
    monkeypatch.setattr("istiod_py.subscription.MOST_NAMES", 2)
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of(), resource_names_subscribe=["a", "b", "c"])
        code, text = await stream.status()
        assert (code, "names subscribed" in text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
        assert discovery.count("pilot_xds_turned_away", "names") == 1


async def test_what_names_cost_is_limited_over_all_types(proxy, address, monkeypatch):
    monkeypatch.setattr(NameBudget, "ONE", 2 * NAME_COST + 10)
    monkeypatch.setattr(NameBudget, "MODEST", 0)
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of(), resource_names_subscribe=["a"])
        await stream.hears()
        await stream.says(type_url=WORKLOAD, resource_names_subscribe=["b", "c"])
        code, text = await stream.status()
        assert (code, "unsubscribe some" in text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
        assert discovery.count("pilot_xds_turned_away", "names") == 1
        await eventually(lambda: discovery.clients.names.spent == 0, "given back")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        pytest.param({"node": node_of(BIG="x" * (512 << 10))}, grpc.StatusCode.INVALID_ARGUMENT, id="metadata"),
        pytest.param(
            {"node": node_of(), "resource_names_subscribe": ["n" * 2049]}, grpc.StatusCode.RESOURCE_EXHAUSTED, id="name"
        ),
    ],
)
async def test_what_would_be_kept_of_a_client_is_limited(proxy, address, request_, code):
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(**request_)
        assert (await stream.status())[0] is code


async def test_a_type_of_endless_length_is_no_type(proxy, address):
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta("x" * 257)
        await stream.says(node=node_of())
        assert (await stream.status())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_client_may_leave_before_it_has_said_anything(proxy, address):
    async with Discovery().on(address) as discovery:
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.ends()
        assert await stream.status() == (grpc.StatusCode.OK, "")


async def test_a_mistake_of_ours_is_counted_and_told_as_such(proxy, address, caplog):
    async with Discovery().on(address) as discovery:
        discovery.collections = None  # type: ignore[assignment]
        stream = proxy(discovery.port).delta(ADDRESS)
        await stream.says(node=node_of())
        assert await stream.status() == (grpc.StatusCode.UNKNOWN, "Internal Server Error")
        assert discovery.count("pilot_total_xds_internal_errors") == 1
        assert len(discovery.clients) == 0
        assert "Application error" in caplog.text


@pytest.mark.parametrize("form", ["delta", "state"])
async def test_who_asks_once_and_has_said_all_is_answered(proxy, address, form):
    """As command-line clients do."""
    async with Discovery().on(address) as discovery:
        discovery.publish(ADDRESS, CART)
        stream = getattr(proxy(discovery.port), form)(ADDRESS)
        await stream.says(node=node_of())
        await stream.ends()
        assert len((await stream.hears()).resources) == 1
        assert await stream.status() == (grpc.StatusCode.OK, "")
