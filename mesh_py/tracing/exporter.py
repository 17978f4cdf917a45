"""Sends spans to a collector: OTLP over HTTP, in batches, each with a deadline. It never holds up what it tells of.

What cannot be delivered in time is dropped and counted; a collector that says "later" is asked again with growing
pauses (https://opentelemetry.io/docs/specs/otlp/#otlphttp).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from mesh_py.tracing import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from aiohttp import ClientResponse

    from mesh_py.settings.tracing import TracingSettings
    from mesh_py.tracing.queue import SpanQueue
    from mesh_py.tracing.span import Span

log = logging.getLogger("tracing")

_LATER = (429, 502, 503, 504)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_MOST_ANSWER = 64 * 1024


class _Undelivered(Exception):
    """A batch that the collector did not take; `again` if it may take it later, after `pause` seconds if it says so."""

    def __init__(self, reason: str, text: str, *, again: bool = False, pause: float | None = None) -> None:
        super().__init__(text)
        self.reason, self.again, self.pause = reason, again, pause


class SpanExporter:
    """The way of spans from a queue to one address."""

    def __init__(
        self,
        settings: TracingSettings,
        queue: SpanQueue,
        resource: Callable[[], Mapping[str, str]],
        version: str,
        *,
        mark: int | None = None,
    ) -> None:
        """`resource` tells who records, asked for each batch; `mark` is SO_MARK of the connection."""
        self._settings, self._queue = settings, queue
        self._resource, self._version, self._mark = resource, version, mark
        self._is_complaining = False
        self._is_ending = False

    async def run(self) -> None:
        """Export until `finish`, and then what is left; cancelled, that is lost."""
        try:
            async with self._session() as session:
                while not self._is_ending or len(self._queue):
                    await self._enough()
                    if spans := self._queue.take():
                        await self._deliver(session, spans)
        finally:
            self._lost(len(self._queue), "deadline", "the process ends")

    def finish(self) -> None:
        """No more spans come: `run` ends once those that wait are gone."""
        self._is_ending = True
        self._queue.filled.set()

    async def _enough(self) -> None:
        """Return with a batch, or when those that wait have waited long enough."""
        if self._is_ending:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.delay):
                await self._queue.filled.wait()

    def _session(self) -> ClientSession:
        connector = TCPConnector(limit=1, socket_factory=self._socket)
        headers = {"content-type": "application/x-protobuf", "user-agent": f"{encode.SCOPE}/{self._version}"}
        return ClientSession(connector=connector, headers=headers | dict(self._settings.headers))

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol = address[:3]
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        if self._mark:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self._mark)
        return sock

    async def _deliver(self, session: ClientSession, spans: list[Span]) -> None:
        """To the collector, or to nobody; counted either way."""
        try:
            # Beside the loop: hundreds of messages are milliseconds of work.
            body = await asyncio.to_thread(encode.encode, spans, self._resource(), self._version)
            async with asyncio.timeout(self._settings.timeout):
                refused, why = await self._persist(session, body)
        except TimeoutError:
            self._lost(len(spans), "deadline", "not delivered in time")
        except _Undelivered as error:
            self._lost(len(spans), error.reason, str(error))
        except asyncio.CancelledError:
            self._lost(len(spans), "deadline", "the process ends")
            raise
        else:
            self._queue.exported += len(spans) - refused
            self._is_complaining = False
            self._lost(refused, "rejected", why)

    async def _persist(self, session: ClientSession, body: bytes) -> tuple[int, str]:
        """Until it is taken; what of it was not after all, and why. Raises _Undelivered."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._send(session, body)
            except _Undelivered as error:
                if not error.again:
                    raise
                self._complain(str(error))
                await asyncio.sleep(random.uniform(pause / 2, pause) if error.pause is None else error.pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _send(self, session: ClientSession, body: bytes) -> tuple[int, str]:
        url = self._settings.url
        timeout = ClientTimeout(total=self._settings.timeout)
        try:
            async with session.post(url, data=body, timeout=timeout, allow_redirects=False) as answer:
                return await self._judged(answer)
        except (ClientError, OSError) as error:
            raise _Undelivered("unreachable", str(error) or type(error).__name__, again=True) from error

    async def _judged(self, answer: ClientResponse) -> tuple[int, str]:
        if answer.status in _LATER:
            raise _Undelivered("refused", f"status {answer.status}", again=True, pause=_retry_after(answer))
        if answer.status != 200:
            raise _Undelivered("refused", f"status {answer.status}")
        return encode.rejected(await answer.content.read(_MOST_ANSWER))

    def _lost(self, count: int, reason: str, text: str) -> None:
        if count:
            self._queue.dropped[reason] += count
            self._complain(text)

    def _complain(self, text: str) -> None:
        """Once, until spans arrive again."""
        if not self._is_complaining:
            self._is_complaining = True
            log.warning("spans do not arrive at %s: %s", self._settings.url, text)


def _retry_after(answer: ClientResponse) -> float | None:
    """Seconds that the collector asks us to wait; a date counts for nothing."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
