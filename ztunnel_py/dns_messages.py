"""DNS messages: a client's question read, and the replies to it written (hbone-controlplane 6) [pure].

dnspython knows the wire; what is answered, and with which flags, is said here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from mesh_py.model.address import is_ipv6

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh_py.model.address import IpAddress

OWN_TTL = 30
"""Seconds a client may keep what the mesh said."""
_HEADER = 12
_MOST_RECORDS = 16
"""Beside a question: EDNS, a signature, the SOA of a transfer. Each costs time to read, and TCP brings thousands."""
_LEAST_UDP = 512
_MOST_UDP = 65_535
_UPSTREAM_PAYLOAD = 1232
"""What we take over UDP from a name server: no fragments on any path (DNS flag day 2020)."""


class BadQuery(Exception):
    """Nothing that can be looked up. `reply` is what its sender gets; None: silence."""

    def __init__(self, reply: bytes | None) -> None:
        super().__init__()
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Query:
    """One question of a client."""

    message: dns.message.Message
    name: dns.name.Name
    rdtype: dns.rdatatype.RdataType
    is_internet: bool

    @property
    def wants_ipv6(self) -> bool:
        """AAAA rather than A."""
        return self.rdtype == dns.rdatatype.AAAA

    @property
    def wants_addresses(self) -> bool:
        """Whether the mesh may know the answer."""
        return self.is_internet and self.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)

    @property
    def text(self) -> str:
        """The name as it was asked."""
        return self.name.to_text(omit_final_dot=True)

    @property
    def type_text(self) -> str:
        """`A`, `AAAA`, `MX`, ..."""
        return dns.rdatatype.to_text(self.rdtype)


def read_query(wire: bytes) -> Query:
    """Read what a client sent. Raises BadQuery."""
    if len(wire) < _HEADER:
        raise BadQuery(None)
    flags = int.from_bytes(wire[2:4], "big")
    if flags & dns.flags.QR:
        # Two proxies that answered each other's complaints would never end.
        raise BadQuery(None if flags & 0xF else bare_reply(wire, dns.rcode.FORMERR))
    if dns.opcode.from_flags(flags) != dns.opcode.QUERY:
        raise BadQuery(bare_reply(wire, dns.rcode.NOTIMP))
    records = sum(int.from_bytes(wire[at : at + 2], "big") for at in (6, 8, 10))
    if wire[4:6] != b"\0\1" or records > _MOST_RECORDS:
        raise BadQuery(bare_reply(wire, dns.rcode.FORMERR))
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        raise BadQuery(bare_reply(wire, dns.rcode.FORMERR)) from None
    if len(message.question) != 1:
        raise BadQuery(bare_reply(wire, dns.rcode.FORMERR))
    [question] = message.question
    return Query(message, question.name, question.rdtype, question.rdclass == dns.rdataclass.IN)


def bare_reply(wire: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """A reply to something that cannot be read, or that nobody has time for: the header alone."""
    asked = int.from_bytes(wire[2:4], "big")
    flags = dns.flags.QR | dns.flags.RA | (asked & (0x7800 | dns.flags.RD)) | rcode
    return wire[:2] + flags.to_bytes(2, "big") + bytes(8)


def failure(query: Query, rcode: dns.rcode.Rcode) -> dns.message.Message:
    """A reply that says only why there is no answer."""
    response = _reply_to(query)
    response.set_rcode(rcode)
    return response


def own_answer(query: Query, addresses: Sequence[IpAddress], canonical: str | None) -> dns.message.Message:
    """What the mesh knows: addresses, perhaps under another name; no address is an answer too (NOERROR)."""
    response = _reply_to(query)
    response.flags |= dns.flags.AA
    name = query.name
    if addresses and canonical is not None:
        target = dns.name.from_text(canonical)
        response.answer.append(dns.rrset.from_text(name, OWN_TTL, "IN", "CNAME", target.to_text()))
        name = target
    if addresses:
        kind = "AAAA" if is_ipv6(addresses[0]) else "A"
        response.answer.append(dns.rrset.from_text(name, OWN_TTL, "IN", kind, *addresses))
    return response


def forwarded_query(query: Query, identifier: int) -> dns.message.Message:
    """The question as we ask a name server: under an id of our own, with our own bound for UDP."""
    asked = query.message
    kept = asked.flags & (dns.flags.RD | dns.flags.CD | dns.flags.AD)
    message = dns.message.QueryMessage(identifier)
    message.flags = kept
    message.question = list(asked.question)
    if asked.edns >= 0:
        message.use_edns(0, asked.ednsflags & dns.flags.DO, _UPSTREAM_PAYLOAD)
    return message


def forwarded_answer(query: Query, answer: dns.message.Message) -> dns.message.Message:
    """A name server's reply as our client gets it: answers and additional records, without the authority section."""
    response = _reply_to(query)
    response.flags |= answer.flags & dns.flags.AD
    response.set_rcode(answer.rcode())
    response.answer = list(answer.answer)
    response.additional = list(answer.additional)
    return response


def to_wire(response: dns.message.Message, query: Query, *, over_udp: bool) -> bytes:
    """The reply's bytes; over UDP cut to what the client takes, and marked as cut.

    Records of one kind leave in random order (dnspython does that): many clients take the first.
    """
    limit = max(_LEAST_UDP, query.message.payload) if over_udp else _MOST_UDP
    return response.to_wire(max_size=limit, prefer_truncation=True)


def _reply_to(query: Query) -> dns.message.Message:
    response = dns.message.make_response(query.message, recursion_available=True)
    if query.message.edns >= 0:  # echoed: version, payload, DO
        payload = max(_LEAST_UDP, query.message.payload)
        response.use_edns(query.message.edns, query.message.ednsflags & dns.flags.DO, payload)
    return response
