"""The conversation with the node's agent: found, greeted, listened to, answered, and begun again when it breaks
(hbone-dataplane 10.2).

Nothing is ever said unasked: the agent pairs answers with its own messages by their order alone.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.namespace import NetworkNamespace
from mesh_py.zds.announcements import ProtocolError
from mesh_py.zds.messages import Add, SnapshotSent, UnreadableMessage, hello, read_request, write_answer
from mesh_py.zds.packets import PacketSocket

if TYPE_CHECKING:
    from pathlib import Path

    from mesh_py.zds.messages import Request
    from mesh_py.zds.packets import Packet

log = logging.getLogger("inpod")

CONNECT_FIRST, HELLO_FIRST, LONGEST = 0.020, 0.005, 15.0
"""Seconds between tries, doubled each time: to reach the agent, and to greet it."""
JITTER = 0.2
SEND_SECONDS = 5.0
"""An agent that takes no answer for so long is gone."""


class Listening(Protocol):
    """Who is told what the agent says."""

    def hear(self, request: Request, namespace: NetworkNamespace | None) -> str:
        """What came of it: empty if all is well. The namespace is the hearer's to keep or to close.

        Raises ProtocolError: it must not be said here.
        """

    def lost(self) -> None:
        """The conversation is over; another begins from its start."""


@dataclass(slots=True)
class Pauses:
    """How long to wait before the next try."""

    connect: float = CONNECT_FIRST
    hello: float = HELLO_FIRST

    def after_connect(self) -> float:
        """The agent was not reached, or said nothing."""
        wait, self.connect = self.connect, min(self.connect * 2, LONGEST)
        return wait

    def after_hello(self, chance: float) -> float:
        """It did not take our greeting; `chance` is from 0 to 1."""
        wait, self.hello = self.hello, min(self.hello * 2, LONGEST)
        return min(wait * (1 - JITTER + 2 * JITTER * chance), LONGEST)


class AgentClient:
    """Listens to the agent at a path while `run` runs."""

    def __init__(self, path: Path, listening: Listening) -> None:
        self._path, self._listening = path, listening
        self._pauses = Pauses()
        self._told = ""

    async def run(self) -> None:
        """Converse until cancelled. Raises ProtocolError once the agent has been told of it."""
        while True:
            wait = await self._try()
            await asyncio.sleep(wait)

    async def _try(self) -> float:
        """One conversation; how long to wait before the next, in seconds."""
        try:
            sock = PacketSocket.connect(self._path)
        except OSError as error:
            self._tell(f"{self._path}: {error.strerror or error}: is the node's agent running?")
            return self._pauses.after_connect()
        with sock:
            try:
                await _send(sock, hello())
            except (OSError, TimeoutError) as error:
                self._tell(f"{self._path}: the node's agent does not take our greeting: {error}")
                return self._pauses.after_hello(random.random())
            self._pauses.hello = HELLO_FIRST
            return await self._converse(sock)

    async def _converse(self, sock: PacketSocket) -> float:
        try:
            while (packet := await sock.receive()) is not None:
                if isinstance(await self._take(sock, packet), SnapshotSent):
                    self._note_success()
            reason = "it has ended the conversation"
        except UnreadableMessage as error:
            reason = f"failure to read message : {error}"
            await _last_word(sock, reason)
        except (OSError, TimeoutError) as error:
            reason = str(error) or "it takes no answers"
        finally:
            self._listening.lost()
        self._tell(f"{self._path}: the node's agent: {reason}")
        return self._pauses.after_connect()

    async def _take(self, sock: PacketSocket, packet: Packet) -> Request:
        request, namespace = _understood(packet)
        try:
            problem = self._listening.hear(request, namespace)
        except ProtocolError as error:
            await _last_word(sock, f"protocol error : {error}")
            raise
        await _send(sock, write_answer(problem))
        return request

    def _note_success(self) -> None:
        """The conversation has come to something: an agent that hangs up sooner is asked less and less often."""
        self._pauses = Pauses()
        self._told = ""

    def _tell(self, text: str) -> None:
        """Each trouble once, however often it is tried again."""
        if text != self._told:
            self._told = text
            log.warning("%s", text)


def _understood(packet: Packet) -> tuple[Request, NetworkNamespace | None]:
    """A namespace comes with `add` and with nothing else. Raises UnreadableMessage; then descriptors are closed."""
    try:
        request = read_request(packet.data)
        wanted = 1 if isinstance(request, Add) else 0
        if len(packet.descriptors) != wanted:
            kind = type(request).__name__
            raise UnreadableMessage(f"{kind} comes with {wanted} descriptors, not with {len(packet.descriptors)}")
        return request, NetworkNamespace(packet.descriptors[0]) if wanted else None
    except BaseException:
        packet.close()
        raise


async def _send(sock: PacketSocket, data: bytes) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await sock.send(data)


async def _last_word(sock: PacketSocket, error: str) -> None:
    """Say what is wrong; the conversation is over all the same."""
    try:
        await _send(sock, write_answer(error))
    except (OSError, TimeoutError):
        log.debug("the agent does not hear of: %s", error)
