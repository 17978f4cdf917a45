"""One DNS question, from its bytes to the bytes of the reply: who asks, does the mesh know the name, who else may."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

import dns.message
import dns.rcode

from mesh_py.discovery.dns_names import look_up
from mesh_py.telemetry.labels import UNKNOWN
from mesh_py.telemetry.log_format import fields
from ztunnel_py.dns_forwarder import UpstreamError
from ztunnel_py.dns_messages import BadQuery, failure, forwarded_answer, own_answer, read_query, to_wire
from ztunnel_py.plans import Plans

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.tcp import SocketAddress
    from mesh_py.discovery.dns_names import Answer, NameRules
    from mesh_py.model.workload import Workload
    from ztunnel_py.context import ProxyContext
    from ztunnel_py.dns_forwarder import Forwarder
    from ztunnel_py.dns_messages import Query

log = logging.getLogger("dns")

Protocol = Literal["udp", "tcp"]

KEPT = 4096
"""Replies remembered at most: clients choose what they ask for."""
_ID = 2
"""Bytes of a message's id, the first."""


class Asked(NamedTuple):
    """A question, and who asks."""

    query: Query
    protocol: Protocol
    client: Workload | None

    @property
    def labels(self) -> tuple[str, ...]:
        """The values of the DNS metrics' labels, in their order."""
        service = self.client.canonical_name if self.client is not None else ""
        revision = self.client.canonical_revision if self.client is not None else ""
        return self.query.type_text.lower(), self.protocol, service or UNKNOWN, revision or UNKNOWN

    def note(self, result: str, endpoints: int = 0) -> None:
        """Write the question's line, at level debug."""
        if log.isEnabledFor(logging.DEBUG):
            client = self.client
            named: dict[str, str | int] = {
                "src.workload": UNKNOWN if client is None else client.name,
                "src.namespace": UNKNOWN if client is None else client.namespace,
                "query": self.query.type_text,
                "domain": self.query.name.to_text(),
                "result": result,
                "endpoints": endpoints,
            }
            log.debug("query", extra=fields(named))


class MeshCache(NamedTuple):
    """The reply to a question that is asked again and again, until the mesh changes."""

    reply: bytes
    """Without the id."""
    labels: tuple[str, ...]


class Resolver:
    """Answers whoever asks.

    Args:
        rules: how names are completed, looked at for every question.
        forwarder: asks others.
        wait: seconds to wait for a client the mesh does not know yet.
    """

    def __init__(
        self, context: ProxyContext, rules: Callable[[], NameRules], forwarder: Forwarder, *, wait: float
    ) -> None:
        self._context, self._rules, self._forwarder, self._wait = context, rules, forwarder, wait
        self._known: Plans[MeshCache] = Plans(context.state, kept=KEPT)

    def knows(self, address: SocketAddress) -> bool:
        """Whether the mesh knows who asks from there."""
        return self._context.source_workload(address, by_socks=True) is not None

    async def reply(self, wire: bytes, address: SocketAddress, protocol: Protocol) -> bytes | None:
        """What the client at `address` gets for these bytes; None is silence."""
        client = self._context.source_workload(address, by_socks=True)
        rules = self._rules()
        key = (wire[_ID:], protocol, rules, "" if client is None else client.uid)
        if client is not None and (known := self._known.get(key)) is not None and not log.isEnabledFor(logging.DEBUG):
            self._context.metrics.dns_requests.increase(known.labels)
            return wire[:_ID] + known.reply
        try:
            query = read_query(wire)
        except BadQuery as error:
            return error.reply
        asked = Asked(query, protocol, client or await self._awaited(address))
        self._context.metrics.dns_requests.increase(asked.labels)
        found = self._look_up(asked, rules)
        response = own_answer(query, found.addresses, found.canonical) if found else await self._elsewhere(asked)
        reply = to_wire(response, query, over_udp=protocol == "udp")
        if found and client and len(found.addresses) <= 1:  # the order of several is drawn anew each time
            self._known.put(key, MeshCache(reply[_ID:], asked.labels))
        return reply

    def _look_up(self, asked: Asked, rules: NameRules) -> Answer | None:
        query, client = asked.query, asked.client
        if client is None or not query.wants_addresses:
            return None
        found = look_up(self._context.state, client, query.text, rules, ipv6=query.wants_ipv6)
        if found is not None:
            asked.note(found.reason, len(found.addresses))
        return found

    async def _elsewhere(self, asked: Asked) -> dns.message.Message:
        if asked.client is None:
            asked.note("unknown source")
            return failure(asked.query, dns.rcode.SERVFAIL)
        return await self._forwarded(asked)

    async def _forwarded(self, asked: Asked) -> dns.message.Message:
        metrics, labels = self._context.metrics, asked.labels
        metrics.dns_upstream_requests.increase(labels)
        begin = time.monotonic()  # a loop's own clock may be too coarse for the first buckets
        try:
            answer = await self._forwarder.ask(asked.query)
        except UpstreamError as error:
            metrics.dns_upstream_failures.increase(labels)
            asked.note(f"forwarding failed ({error})")
            return failure(asked.query, dns.rcode.SERVFAIL)
        finally:
            metrics.dns_upstream_seconds.observe(time.monotonic() - begin, labels)
        asked.note("forwarded", sum(len(rrset) for rrset in answer.answer))
        return forwarded_answer(asked.query, answer)

    async def _awaited(self, address: SocketAddress) -> Workload | None:
        """The workload at an address where the mesh knows none yet."""
        context = self._context
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(_: bool) -> None:
            if not settled.done():
                settled.set_result(None)

        context.when(lambda: context.source_workload(address, by_socks=True) is not None, self._wait, done)
        await settled
        return context.source_workload(address, by_socks=True)
