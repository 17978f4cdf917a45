"""The DNS proxy on real sockets; dig and dnspython ask, small name servers stand upstream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from hbone_py.aio.tcp import listening_socket
from mesh_py.process.listening import StartError, bind_datagrams
from tests.support.name_server import Answer, NameServer, addresses, code, silence
from tests.support.processes import eventually, run_tool
from tests.support.require import require_tool
from tests.support.world import service, workload
from ztunnel_py import dns_proxy
from ztunnel_py.dns_proxy import serve_dns
from ztunnel_py.dns_settings import DnsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.pods import Pod, Pods

CART = service("cart.default.svc.cluster.local", "10.96.0.1", "/fd00::96")
LABELS = {
    "source_canonical_service": "sleep",
    "source_canonical_revision": "v1",
}


class Names:
    """One DNS proxy beside a pod, and whoever asks it."""

    def __init__(self, pod: Pod, port: int, upstream: NameServer) -> None:
        self.pod, self.port, self.upstream = pod, port, upstream

    async def ask(self, name: str, kind: str = "A", *, tcp: bool = False, **more: Any) -> dns.message.Message:
        return await self.send(dns.message.make_query(name, kind, **more), tcp=tcp)

    async def send(
        self, query: dns.message.Message, *, tcp: bool = False, source: str | None = None
    ) -> dns.message.Message:
        ask = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await ask(query, self.pod.ip, timeout=20, port=self.port, source=source or self.pod.ip)

    async def dig(self, *arguments: str) -> str:
        dig = require_tool("dig")
        done = await run_tool(
            dig, "-b", self.pod.ip, f"@{self.pod.ip}", "-p", str(self.port), "+time=20", "+tries=1", *arguments
        )
        return done.stdout.decode()

    def counted(self, name: str, **labels: str) -> float:
        return self.pod.its_proxy.total(f"istio_dns_{name}", **labels)


@contextlib.asynccontextmanager
async def serving(pods: Pods, answer: Answer = silence, **fields: Any) -> AsyncIterator[Names]:
    """A pod `sleep` whose questions come to us; `fields` are the proxy's settings, from its environment."""
    pod = pods.add("sleep", canonical_name="sleep", canonical_revision="v1", environment=fields.get("environment"))
    pods.tell(CART)
    tcp = {"dns": listening_socket(pod.ip, 0)}
    port = tcp["dns"].getsockname()[1]
    sockets = [*tcp.values(), *bind_datagrams(tcp).values()]
    async with NameServer(answer) as upstream:
        settings = DnsSettings(pod.ip, port, both_families=False, upstream=(upstream.address,))
        async with serve_dns(pod.its_proxy.plane.context, settings, sockets):
            yield Names(pod, port, upstream)


def told(answer: dns.message.Message) -> list[str]:
    return [rdata.to_text() for rrset in answer.answer for rdata in rrset]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_a_name_of_the_mesh(pods: Pods, tcp: bool) -> None:
    async with serving(pods) as names:
        answer = await names.ask("cart", tcp=tcp)
        assert told(answer) == ["10.96.0.1"]
        assert dns.flags.to_text(answer.flags) == "QR AA RD RA"
        assert told(await names.ask("cart.default", "AAAA", tcp=tcp)) == ["fd00::96"]
        assert names.upstream.asked == []
        protocol = "tcp" if tcp else "udp"
        assert names.counted("requests_total", request_query_type="a", request_protocol=protocol, **LABELS) == 1
        assert names.counted("requests_total", request_query_type="aaaa", request_protocol=protocol, **LABELS) == 1
        assert names.counted("upstream_requests_total") == 0


@pytest.mark.interop
async def test_dig_understands(pods: Pods) -> None:
    async with serving(pods, addresses("10.9.0.1")) as names:
        assert await names.dig("cart", "+short") == "10.96.0.1\n"
        assert await names.dig("cart.default.svc.cluster.local.default.svc.cluster.local", "+short") == (
            "cart.default.svc.cluster.local.\n10.96.0.1\n"
        )
        assert await names.dig("www.example.com", "+short", "+tcp") == "10.9.0.1\n"
        whole = await names.dig("cart", "AAAA", "+bufsize=4096", "+dnssec")
    assert "status: NOERROR" in whole
    assert "flags: qr aa rd ra;" in whole
    assert "EDNS: version: 0, flags: do; udp: 4096" in whole


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_other_names_are_forwarded(pods: Pods, tcp: bool) -> None:
    async with serving(pods, addresses("10.9.0.1")) as names:
        answer = await names.ask("www.example.com", tcp=tcp)
        assert told(answer) == ["10.9.0.1"]
        assert dns.flags.to_text(answer.flags) == "QR RD RA"
        assert names.upstream.asked == [("udp", "www.example.com. IN A")]
        labels = {"request_query_type": "a", "request_protocol": "tcp" if tcp else "udp", **LABELS}
        assert names.counted("requests_total", **labels) == 1
        assert names.counted("upstream_requests_total", **labels) == 1
        assert names.counted("upstream_failures_total") == 0
        assert names.counted("upstream_request_duration_seconds_count", **labels) == 1


async def test_other_kinds_of_records_are_forwarded_even_of_our_names(pods: Pods) -> None:
    async with serving(pods, code(dns.rcode.NXDOMAIN)) as names:
        assert (await names.ask("cart.default.svc.cluster.local", "MX")).rcode() == dns.rcode.NXDOMAIN
        assert names.upstream.asked == [("udp", "cart.default.svc.cluster.local. IN MX")]


async def test_a_name_server_that_is_not_there(pods: Pods) -> None:
    async with serving(pods) as names:
        names.upstream._server.close()
        names.upstream._transport.close()
        answer = await names.ask("www.example.com")
        assert answer.rcode() == dns.rcode.SERVFAIL
        assert names.counted("upstream_failures_total", request_query_type="a", **LABELS) == 1


async def test_an_answer_too_long_for_udp_is_fetched_over_tcp(pods: Pods) -> None:
    """As resolvers do it: the cut answer says so, and the question is asked again."""
    many = [f"10.9.{i // 100}.{i % 100}" for i in range(300)]
    async with serving(pods, addresses(*many)) as names:
        query = dns.message.make_query("many.example", "A", use_edns=False)
        answer, by_tcp = await dns.asyncquery.udp_with_fallback(
            query, names.pod.ip, timeout=20, port=names.port, source=names.pod.ip
        )
    assert by_tcp
    assert sorted(told(answer)) == sorted(many)


async def test_several_questions_over_one_connection(pods: Pods) -> None:
    async with serving(pods, addresses("10.9.0.1")) as names:
        reader, writer = await asyncio.open_connection(names.pod.ip, names.port, local_addr=(names.pod.ip, 0))
        found = []
        for name in ("cart", "www.example.com", "cart"):
            writer.write(dns.message.make_query(name, "A").to_wire(prepend_length=True))
            size = int.from_bytes(await reader.readexactly(2), "big")
            found += told(dns.message.from_wire(await reader.readexactly(size)))
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    assert found == ["10.96.0.1", "10.9.0.1", "10.96.0.1"]


async def test_a_question_nobody_asks_gets_its_code(pods: Pods) -> None:
    async with serving(pods) as names:
        update = dns.message.make_query("cart", "A")
        update.set_opcode(dns.opcode.STATUS)
        assert (await names.send(update)).rcode() == dns.rcode.NOTIMP


async def test_a_client_nobody_knows_waits_and_fails(pods: Pods) -> None:
    async with serving(pods, environment={"STATE_WAIT": "100ms"}) as names:
        answer = await names.send(dns.message.make_query("cart", "A"), source="127.0.0.1")
        assert answer.rcode() == dns.rcode.SERVFAIL
        labels = {"source_canonical_service": "unknown", "source_canonical_revision": "unknown"}
        assert names.counted("requests_total", request_query_type="a", **labels) == 1


async def test_a_client_that_the_mesh_learns_of_meanwhile_is_served(pods: Pods) -> None:
    async with serving(pods, environment={"STATE_WAIT": "60s"}) as names:
        state = names.pod.its_proxy.state
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(names.send(dns.message.make_query("cart", "A"), source="127.0.0.1"))
            await eventually(lambda: bool(state._watchers[1:]), "waiting for the client")
            late = workload("late", "127.0.0.1", node="sleep")
            state.upsert_workload(late)
        assert told(asking.result()) == ["10.96.0.1"]


async def test_a_client_from_127_0_0_1_may_count_as_a_workload(pods: Pods) -> None:
    async with serving(pods, environment={"SOCKS5_SOURCE_WORKLOAD": "default/sleep"}) as names:
        assert told(await names.send(dns.message.make_query("cart", "A"), source="127.0.0.1")) == ["10.96.0.1"]
        assert names.counted("requests_total", **LABELS) == 1


async def test_a_dedicated_proxy_asks_for_its_one_workload(pods: Pods) -> None:
    """Whatever the source address; and the search list is its own resolver's, not that of pods."""
    environment = {"PROXY_MODE": "dedicated", "PROXY_WORKLOAD_INFO": "default/sleep/sleep"}
    async with serving(pods, code(dns.rcode.NXDOMAIN), environment=environment) as names:
        assert told(await names.send(dns.message.make_query("cart", "A"), source="127.0.0.1")) == ["10.96.0.1"]
        searched = "cart.default.svc.cluster.local.default.svc.cluster.local"
        assert (await names.ask(searched)).rcode() == dns.rcode.NXDOMAIN


async def test_a_question_too_many_is_refused_at_once(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_proxy, "MOST_QUERIES", 2)
    async with serving(pods) as names, asyncio.TaskGroup() as group:
        waiting = group.create_task(names.ask("slow.example"))
        await eventually(lambda: bool(names.upstream.asked), "the first is waiting upstream")
        assert (await names.ask("cart")).rcode() == dns.rcode.SERVFAIL
        waiting.cancel()


async def test_whom_nobody_knows_keeps_no_pod_waiting(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers wait until the mesh may know them; a pod's own question is answered at once, also meanwhile."""
    monkeypatch.setattr(dns_proxy, "MOST_QUERIES", 8)
    async with serving(pods) as names:
        question = dns.message.make_query("cart", "A")
        strangers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(30)]
        for number, sock in enumerate(strangers):
            sock.bind((f"127.63.1.{number}", 0))
            sock.sendto(question.to_wire(), (names.pod.ip, names.port))
        assert told(await names.ask("cart")) == ["10.96.0.1"]
        for sock in strangers:
            sock.close()


async def test_a_reply_gets_no_reply_however_busy_we_are(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_proxy, "MOST_QUERIES", 0)
    async with serving(pods) as names:
        question = dns.message.make_query("cart", "A")
        wires = [dns.message.make_response(question).to_wire(), question.to_wire()]
        assert [reply.id for reply in await replies(names, wires, 1)] == [question.id]


async def replies(names: Names, wires: list[bytes], count: int) -> list[dns.message.Message]:
    """The first that come to a socket which says all of this."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((names.pod.ip, names.port))
        for wire in wires:
            await loop.sock_sendall(sock, wire)
        async with asyncio.timeout(20):
            return [dns.message.from_wire(await loop.sock_recv(sock, 512)) for _ in range(count)]


async def test_a_connection_too_many_is_turned_away(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_proxy, "MOST_CONNECTIONS", 2)
    async with serving(pods) as names:
        _, first = await asyncio.open_connection(names.pod.ip, names.port)
        reader, second = await asyncio.open_connection(names.pod.ip, names.port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        first.close()
        second.close()


async def test_a_silent_connection_ends(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_proxy, "IDLE", 0.1)
    async with serving(pods) as names:
        reader, writer = await asyncio.open_connection(names.pod.ip, names.port)
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("wire", [b"\x00\x02hi", b"\xff\xff", b"\x00"], ids=["too short", "never complete", "half"])
async def test_nonsense_over_tcp_ends_its_connection_only(pods: Pods, wire: bytes) -> None:
    async with serving(pods) as names:
        reader, writer = await asyncio.open_connection(names.pod.ip, names.port)
        writer.write(wire)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert told(await names.ask("cart")) == ["10.96.0.1"]


async def test_nonsense_over_udp_is_answered_or_dropped(pods: Pods) -> None:
    async with serving(pods) as names:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.bind((names.pod.ip, 0))
            sock.connect((names.pod.ip, names.port))
            await loop.sock_sendall(sock, b"hi")
            await loop.sock_sendall(sock, b"\x12\x34\x01\x00\x00\x01" + bytes(6))
            reply = dns.message.from_wire(await loop.sock_recv(sock, 512))
    assert (reply.id, reply.rcode()) == (0x1234, dns.rcode.FORMERR)


async def test_a_fault_of_ours_costs_one_question(
    pods: Pods, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(pods) as names:
        with monkeypatch.context() as patch:
            patch.setattr("ztunnel_py.dns_resolver.look_up", lambda *_, **__: 1 / 0)
            assert (await names.ask("cart")).rcode() == dns.rcode.SERVFAIL
        assert told(await names.ask("cart")) == ["10.96.0.1"]
    assert "a question that broke us" in caplog.text


async def test_what_the_log_says(pods: Pods, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dns")
    async with serving(pods, addresses("10.9.0.1", "10.9.0.2")) as names:
        await names.ask("cart")
        await names.ask("www.example.com")
    found = [record.__dict__["fields"] for record in caplog.records if record.name == "dns"]
    common = {"src.workload": "sleep", "src.namespace": "default", "query": "A"}
    assert found == [
        {**common, "domain": "cart.", "result": "success", "endpoints": 1},
        {**common, "domain": "www.example.com.", "result": "forwarded", "endpoints": 2},
    ]


async def test_the_end_gives_up_whoever_is_still_waiting(pods: Pods) -> None:
    async with asyncio.TaskGroup() as group:
        async with serving(pods) as names:
            waiting = group.create_task(names.ask("slow.example"))
            _, idle = await asyncio.open_connection(names.pod.ip, names.port)
            await eventually(lambda: bool(names.upstream.asked), "a question waits upstream")
        waiting.cancel()
        idle.close()


def test_a_taken_udp_port_is_one_line() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken,
        contextlib.closing(listening_socket("127.0.0.1", 0)) as tcp,
    ):
        taken.bind(tcp.getsockname())
        with pytest.raises(StartError, match=r"cannot listen on 127\.0\.0\.1:\d+ \(dns, UDP\): address already in use"):
            bind_datagrams({"dns": tcp})
