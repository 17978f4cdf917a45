"""Asking real name servers (small ones, on loopback): cut answers, silent and lying servers, deadlines."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import dns.message
import dns.rcode
import pytest

from hbone_py.aio.tcp import SocketOptions
from tests.support.name_server import NameServer, addresses, code, only_over_tcp, silence
from tests.support.require import require_root
from ztunnel_py.dns_forwarder import Forwarder, ResolvConf, ResolvConfFile, UpstreamError, read_resolv_conf
from ztunnel_py.dns_messages import read_query

if TYPE_CHECKING:
    from pathlib import Path

    from ztunnel_py.dns_messages import Query

SOON = 0.3
"""Seconds after which a server that says nothing is given up; long enough for one that answers."""


def query(name: str = "www.example.com", kind: str = "A") -> Query:
    return read_query(dns.message.make_query(name, kind).to_wire())


async def asked(*servers: NameServer | tuple[str, int], **more: Any) -> dns.message.Message:
    known = [server.address if isinstance(server, NameServer) else server for server in servers]
    return await Forwarder(lambda: known, **more).ask(query())


def told(answer: dns.message.Message) -> list[str]:
    return [rdata.to_text() for rrset in answer.answer for rdata in rrset]


async def test_an_answer() -> None:
    async with NameServer(addresses("10.9.0.1", "10.9.0.2")) as server:
        answer = await asked(server)
    assert sorted(told(answer)) == ["10.9.0.1", "10.9.0.2"]  # a set, on the wire in any order
    assert server.asked == [("udp", "www.example.com. IN A")]


async def test_our_own_id_is_used_not_the_client_s() -> None:
    async with NameServer(addresses("10.9.0.1")) as server:
        forwarder = Forwarder(lambda: [server.address])
        same = query()
        for _ in range(4):
            await forwarder.ask(same)
    assert len({message.id for message in server.queries}) > 1


async def test_a_cut_answer_is_fetched_over_tcp() -> None:
    async with NameServer(only_over_tcp(addresses(*(f"10.9.0.{i}" for i in range(200))))) as server:
        answer = await asked(server)
    assert len(told(answer)) == 200
    assert [protocol for protocol, _ in server.asked] == ["udp", "tcp"]


async def test_no_such_name_is_an_answer() -> None:
    async with NameServer(code(dns.rcode.NXDOMAIN)) as first, NameServer(addresses("10.9.0.1")) as second:
        answer = await asked(first, second)
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert second.asked == []


async def test_a_silent_server_is_followed_by_the_next() -> None:
    async with NameServer(silence) as first, NameServer(addresses("10.9.0.1")) as second:
        assert told(await asked(first, second, attempt=SOON)) == ["10.9.0.1"]
    assert len(first.asked) == 1


async def test_a_server_that_cannot_is_followed_by_the_next() -> None:
    async with NameServer(code(dns.rcode.SERVFAIL)) as first, NameServer(addresses("10.9.0.1")) as second:
        assert told(await asked(first, second)) == ["10.9.0.1"]


async def test_if_nobody_can_the_refusal_is_handed_on() -> None:
    async with NameServer(code(dns.rcode.REFUSED)) as server:
        assert (await asked(server)).rcode() == dns.rcode.REFUSED
    assert len(server.asked) == 1


async def test_a_port_where_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = nobody.getsockname()
    with pytest.raises(UpstreamError, match=rf"^127\.0\.0\.1:{address[1]}: .*refused"):
        await asked(address)


async def test_silence_everywhere_ends_with_the_attempts() -> None:
    async with NameServer(silence) as server:
        with pytest.raises(UpstreamError, match="no answer in time"):
            await asked(server, attempt=SOON)
    assert len(server.asked) == 2


async def test_silence_everywhere_ends_with_the_deadline() -> None:
    async with NameServer(silence) as server:
        with pytest.raises(UpstreamError, match=r"no answer in 0\.05 s"):
            await asked(server, deadline=0.05)


async def test_no_server_at_all() -> None:
    with pytest.raises(UpstreamError, match="there is no name server"):
        await asked()


async def test_answers_to_other_questions_are_passed_over() -> None:
    """A guessed id, another name, noise: none of them is taken for the answer."""
    right = addresses("10.9.0.1")

    def lie(question: dns.message.Message, protocol: str) -> dns.message.Message | bytes | None:
        other = dns.message.make_query("other.example", "A", id=question.id)
        wrong = [
            b"noise",
            dns.message.make_response(other).to_wire(),
            dns.message.make_response(dns.message.make_query("www.example.com", "A", id=question.id ^ 1)).to_wire(),
        ]
        for wire in wrong:
            liar.say(wire)
        return right(question, protocol)

    class Liar(NameServer):
        def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
            self._client = addr
            super().datagram_received(data, addr)

        def say(self, wire: bytes) -> None:
            self._transport.sendto(wire, self._client)

    async with Liar(lie) as liar:
        assert told(await asked(liar)) == ["10.9.0.1"]


async def test_a_server_that_ends_its_tcp_connection_early() -> None:
    async with NameServer(only_over_tcp(silence)) as server:
        with pytest.raises(UpstreamError, match="ended the connection"):
            await asked(server)


@pytest.mark.privileged
async def test_questions_carry_the_mark() -> None:
    """Else redirection would bring them back to us. The kernel lets only CAP_NET_ADMIN set one."""
    require_root()
    async with NameServer(addresses("10.9.0.1")) as server:
        assert told(await Forwarder(lambda: [server.address], SocketOptions(mark=1337)).ask(query())) == ["10.9.0.1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", ResolvConf(), id="nothing"),
        pytest.param(
            "# a comment\nnameserver 10.0.0.10\nnameserver fd00::a ; another\nsearch a.example. b.example\n",
            ResolvConf((("10.0.0.10", 53), ("fd00::a", 53)), ("a.example", "b.example")),
            id="the usual",
        ),
        pytest.param("search a\ndomain b\n", ResolvConf((), ("b",)), id="the last list counts"),
        pytest.param("options ndots:5\nnameserver\nsortlist 10.0.0.0\n", ResolvConf(), id="what is not for us"),
    ],
)
def test_resolv_conf(text: str, expected: ResolvConf) -> None:
    assert read_resolv_conf(text) == expected


def test_resolv_conf_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    conf = ResolvConfFile(file)
    assert conf.now() == ResolvConf()
    file.write_text("nameserver 10.0.0.1\n")
    assert conf.now().servers == (("10.0.0.1", 53),)
    replacement = tmp_path / "new"
    replacement.write_text("nameserver 10.0.0.2\n")
    os.replace(replacement, file)
    assert conf.now().servers == (("10.0.0.2", 53),)
    file.unlink()
    assert conf.now() == ResolvConf()
