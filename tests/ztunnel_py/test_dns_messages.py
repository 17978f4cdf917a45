"""What clients send and what they get, as messages: dnspython reads every reply back."""

from __future__ import annotations

from typing import Any

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.world import ip
from ztunnel_py.dns_messages import (
    BadQuery,
    Query,
    bare_reply,
    failure,
    forwarded_answer,
    forwarded_query,
    own_answer,
    read_query,
    to_wire,
)


def question(name: str = "cart.shop", kind: str = "A", **more: Any) -> dns.message.Message:
    return dns.message.make_query(name, kind, **more)


def read(message: dns.message.Message) -> Query:
    return read_query(message.to_wire())


def sent(response: dns.message.Message, query: Query, *, over_udp: bool = True) -> dns.message.Message:
    return dns.message.from_wire(to_wire(response, query, over_udp=over_udp))


def test_a_question_is_read() -> None:
    query = read(question("Cart.Shop", "AAAA"))
    assert (query.text, query.type_text) == ("Cart.Shop", "AAAA")
    assert query.wants_addresses
    assert query.wants_ipv6


@pytest.mark.parametrize(
    ("kind", "of_class", "expected"),
    [("A", "IN", True), ("MX", "IN", False), ("ANY", "IN", False), ("A", "CH", False)],
)
def test_only_addresses_are_the_mesh_s_business(kind: str, of_class: str, expected: bool) -> None:
    assert read(question("x", kind, rdclass=of_class)).wants_addresses is expected


def refusal(wire: bytes) -> dns.message.Message | None:
    with pytest.raises(BadQuery) as caught:
        read_query(wire)
    reply = caught.value.reply
    return None if reply is None else dns.message.from_wire(reply)


def test_another_operation_is_not_implemented() -> None:
    message = question()
    message.set_opcode(dns.opcode.NOTIFY)
    reply = refusal(message.to_wire())
    assert reply is not None
    assert (reply.id, reply.rcode(), reply.opcode()) == (message.id, dns.rcode.NOTIMP, dns.opcode.NOTIFY)


def test_a_response_is_no_question() -> None:
    reply = refusal(dns.message.make_response(question()).to_wire())
    assert reply is not None
    assert reply.rcode() == dns.rcode.FORMERR


def test_a_complaint_is_never_answered() -> None:
    complaint = dns.message.make_response(question())
    complaint.set_rcode(dns.rcode.FORMERR)
    assert refusal(complaint.to_wire()) is None


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"\x12\x34\x01\x00" + bytes(8), id="no question"),
        pytest.param(b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x05ab", id="cut short"),
        pytest.param(b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\xc0\x0c\x00\x01\x00\x01", id="a name that is itself"),
    ],
)
def test_what_cannot_be_read_is_told_so(wire: bytes) -> None:
    reply = refusal(wire)
    assert reply is not None
    assert (reply.id, reply.rcode()) == (0x1234, dns.rcode.FORMERR)


def test_two_questions_are_one_too_many() -> None:
    message = question()
    message.question.append(dns.rrset.RRset(message.question[0].name, message.question[0].rdclass, dns.rdatatype.AAAA))
    reply = refusal(message.to_wire())
    assert reply is not None
    assert reply.rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize("section", ["answer", "authority", "additional"])
def test_a_question_that_brings_many_records_is_not_read(section: str) -> None:
    message = dns.message.make_query("a.example", "A")
    for number in range(16):
        record = dns.rrset.from_text("a.example.", 5, "IN", "A", f"10.0.0.{number}")
        getattr(message, section).append(record)
    assert read_query(message.to_wire()).text == "a.example"
    getattr(message, section).append(dns.rrset.from_text("b.example.", 5, "IN", "A", "10.0.1.1"))
    with pytest.raises(BadQuery) as caught:
        read_query(message.to_wire())
    assert caught.value.reply is not None
    assert dns.message.from_wire(caught.value.reply).rcode() == dns.rcode.FORMERR


def test_half_a_header_gets_silence() -> None:
    assert refusal(b"\x12\x34\x01") is None


@given(st.binary(max_size=64))
def test_any_bytes_are_a_question_or_a_fault(wire: bytes) -> None:
    reply = reply_to(wire)
    assert reply is None or reply[:2] == wire[:2]


def reply_to(wire: bytes) -> bytes | None:
    try:
        query = read_query(wire)
    except BadQuery as error:
        return error.reply
    return to_wire(failure(query, dns.rcode.SERVFAIL), query, over_udp=True)


def test_a_bare_reply_keeps_the_id_and_the_wish_for_recursion() -> None:
    message = question()
    reply = dns.message.from_wire(bare_reply(message.to_wire(), dns.rcode.SERVFAIL))
    assert (reply.id, reply.rcode()) == (message.id, dns.rcode.SERVFAIL)
    assert dns.flags.to_text(reply.flags) == "QR RD RA"


def test_an_answer_of_the_mesh() -> None:
    query = read(question("Cart.Shop"))
    response = sent(own_answer(query, [ip("10.0.0.1"), ip("10.0.0.2")], None), query)
    assert dns.flags.to_text(response.flags) == "QR AA RD RA"
    [rrset] = response.answer
    assert rrset == dns.rrset.from_text("Cart.Shop.", 30, "IN", "A", "10.0.0.1", "10.0.0.2")
    assert rrset.ttl == 30


def test_an_answer_under_another_name() -> None:
    query = read(question("cart.shop.svc.cluster.local", "AAAA"))
    response = sent(own_answer(query, [ip("fd00::1")], "cart.shop"), query)
    assert [rrset.to_text() for rrset in response.answer] == [
        "cart.shop.svc.cluster.local. 30 IN CNAME cart.shop.",
        "cart.shop. 30 IN AAAA fd00::1",
    ]


def test_knowing_a_name_without_addresses_is_no_error() -> None:
    query = read(question())
    response = sent(own_answer(query, [], "other"), query)
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        pytest.param(None, None, id="none"),
        pytest.param({"payload": 4096, "ednsflags": dns.flags.DO}, (0, 4096, dns.flags.DO), id="payload and DO"),
        pytest.param({"payload": 100}, (0, 512, 0), id="a payload below the least"),
        pytest.param({"use_edns": 1, "payload": 1232}, (1, 1232, 0), id="another version"),
    ],
)
def test_edns_is_echoed(asked: dict[str, Any] | None, told: tuple[int, int, int] | None) -> None:
    query = read(question(**asked) if asked is not None else question(use_edns=False))
    response = sent(own_answer(query, [], None), query)
    found = (response.edns, response.payload, response.ednsflags & dns.flags.DO) if response.edns >= 0 else None
    assert found == told


MANY = [ip(f"10.0.{i // 250}.{i % 250}") for i in range(1000)]


@pytest.mark.parametrize(
    ("payload", "limit"),
    [(None, 512), (1232, 1232), (65535, 65535)],
)
def test_over_udp_an_answer_is_cut_to_what_the_client_takes(payload: int | None, limit: int) -> None:
    query = read(question(payload=payload) if payload else question(use_edns=False))
    wire = to_wire(own_answer(query, MANY, None), query, over_udp=True)
    is_cut = bool(dns.message.from_wire(wire).flags & dns.flags.TC)
    assert len(wire) <= limit
    assert is_cut is (limit < 16_000)


def test_the_order_of_addresses_is_drawn_anew() -> None:
    query = read(question(payload=1232))
    response = own_answer(query, MANY[:8], None)
    assert len({to_wire(response, query, over_udp=True) for _ in range(20)}) > 1


def test_over_tcp_it_is_not() -> None:
    query = read(question())
    [rrset] = sent(own_answer(query, MANY, None), query, over_udp=False).answer
    assert len(rrset) == 1000


def test_a_question_handed_on() -> None:
    message = question("x.example", "MX", want_dnssec=True)
    message.flags |= dns.flags.CD
    handed = dns.message.from_wire(forwarded_query(read(message), 7).to_wire())
    assert handed.id == 7
    assert handed.question == message.question
    assert dns.flags.to_text(handed.flags) == "RD CD"
    assert (handed.edns, handed.payload, bool(handed.ednsflags & dns.flags.DO)) == (0, 1232, True)


def test_a_question_without_edns_is_handed_on_without() -> None:
    assert forwarded_query(read(question(use_edns=False)), 7).edns == -1


def test_an_answer_handed_back_keeps_code_answers_and_additional_records() -> None:
    query = read(question("x.example"))
    theirs = dns.message.make_response(forwarded_query(query, 7))
    theirs.flags |= dns.flags.AA | dns.flags.AD
    theirs.set_rcode(dns.rcode.NXDOMAIN)
    theirs.answer.append(dns.rrset.from_text("x.example.", 5, "IN", "A", "10.0.0.9"))
    theirs.authority.append(dns.rrset.from_text("example.", 5, "IN", "NS", "ns.example."))
    theirs.additional.append(dns.rrset.from_text("ns.example.", 5, "IN", "A", "10.0.0.8"))
    response = sent(forwarded_answer(query, theirs), query)
    assert response.id == query.message.id
    assert dns.flags.to_text(response.flags) == "QR RD RA AD"
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert [r.to_text() for r in response.answer + response.authority + response.additional] == [
        "x.example. 5 IN A 10.0.0.9",
        "ns.example. 5 IN A 10.0.0.8",
    ]
