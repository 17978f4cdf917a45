"""The proxy's side of the conversation, against an agent that says what the test wants, byte by byte."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING

import pytest

from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.zds.announcements import ProtocolError
from mesh_py.zds.messages import Add, Delete, Keep, Request, SnapshotSent, hello, read_answer, write_request
from tests.support.processes import eventually
from ztunnel_py.agent_client import LONGEST, AgentClient, Pauses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hbone_py.aio.namespace import NetworkNamespace

ADD = write_request(Add("u", WorkloadInfo("default", "a", "a")))
SNAPSHOT = write_request(SnapshotSent())
WAIT = 5.0


class Hearer:
    """Answers as the test wants, and notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[Request] = []
        self.answer = ""
        self.breaks = False
        self.conversations = 0

    def hear(self, request: Request, namespace: NetworkNamespace | None) -> str:
        self.heard.append(request)
        if namespace is not None:
            namespace.close()
        if self.breaks:
            raise ProtocolError("nonsense")
        return self.answer

    def lost(self) -> None:
        self.conversations += 1


class RawAgent:
    """Listens at a path; `talk` is one conversation, with blocking calls of the real socket in threads."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(WAIT)

    def close(self) -> None:
        self._listener.close()

    @contextlib.asynccontextmanager
    async def talk(self, *, greeted: bool = True) -> AsyncIterator[RawConversation]:
        """The next proxy that comes, whose greeting has been read."""
        sock, _ = await asyncio.to_thread(self._listener.accept)
        sock.settimeout(WAIT)
        with sock:
            conversation = RawConversation(sock)
            if greeted:
                assert await conversation.receive() == hello()
            yield conversation


class RawConversation:
    """What an agent sends and gets."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def receive(self) -> bytes:
        return await asyncio.to_thread(self.sock.recv, 1024)

    async def say(self, data: bytes, descriptors: int = 0) -> str:
        """Send a packet with so many descriptors; the answer."""
        rights = array.array("i", [self.sock.fileno()] * descriptors)  # any file will do
        self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else [])
        return read_answer(await self.receive())

    async def is_ended(self) -> bool:
        with contextlib.suppress(ConnectionError):
            return await self.receive() == b""
        return True


@pytest.fixture
def agent(tmp_path: Path):
    raw = RawAgent(tmp_path / "z.sock")
    yield raw
    raw.close()


@contextlib.asynccontextmanager
async def listening(
    tmp_path: Path, hearer: Hearer, client: AgentClient | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """The client at work."""
    client = client or AgentClient(tmp_path / "z.sock", hearer)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_quietly(client))
        yield task
        task.cancel()


async def _quietly(client: AgentClient) -> None:
    with contextlib.suppress(ProtocolError):
        await client.run()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_each_message_is_answered_before_the_next(agent: RawAgent, tmp_path: Path) -> None:
    hearer = Hearer()
    async with listening(tmp_path, hearer), agent.talk() as conversation:
        assert await conversation.say(ADD, 1) == ""
        assert await conversation.say(SNAPSHOT) == ""
        assert await conversation.say(write_request(Delete("u"))) == ""
        assert [type(one).__name__ for one in hearer.heard] == ["Add", "SnapshotSent", "Delete"]
        hearer.answer = "failure to start proxy : no"
        assert await conversation.say(ADD, 1) == "failure to start proxy : no"
        hearer.answer = ""
        assert await conversation.say(ADD, 1) == ""


async def test_nothing_is_said_unasked(agent: RawAgent, tmp_path: Path) -> None:
    async with listening(tmp_path, Hearer()), agent.talk() as conversation:
        await conversation.say(SNAPSHOT)
        conversation.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            conversation.sock.recv(1)


@pytest.mark.parametrize(
    ("packet", "descriptors", "complaint"),
    [
        pytest.param(ADD, 0, "Add comes with 1 descriptors, not with 0", id="add without a namespace"),
        pytest.param(ADD, 2, "Add comes with 1 descriptors, not with 2", id="add with two"),
        pytest.param(write_request(Delete("u")), 1, "Delete comes with 0 descriptors, not with 1", id="del with one"),
        pytest.param(SNAPSHOT, 1, "SnapshotSent comes with 0 descriptors, not with 1", id="snapshot with one"),
        pytest.param(b"\xff", 0, "it is no WorkloadRequest", id="no message"),
        pytest.param(b"\x22\x00", 1, "its kind is not known", id="an unknown message"),
        pytest.param(b"\x0a" + b"x" * 1024, 0, "it is longer than 1024 bytes", id="too long"),
        pytest.param(ADD, 40, "brings too many descriptors", id="a flood of descriptors"),
    ],
)
async def test_what_cannot_be_read_ends_the_conversation_and_leaves_nothing_open(
    agent: RawAgent, tmp_path: Path, packet: bytes, descriptors: int, complaint: str
) -> None:
    hearer = Hearer()
    async with listening(tmp_path, hearer):
        async with agent.talk() as conversation:
            before = open_files()
            answer = await conversation.say(packet, descriptors)
            assert answer.startswith("failure to read message : ")
            assert complaint in answer
            assert await conversation.is_ended()
            assert open_files() <= before
        async with agent.talk() as conversation:
            assert await conversation.say(SNAPSHOT) == ""
    assert hearer.heard == [SnapshotSent()]


async def test_what_makes_no_sense_ends_it_for_good(agent: RawAgent, tmp_path: Path) -> None:
    hearer = Hearer()
    hearer.breaks = True
    async with listening(tmp_path, hearer) as task, agent.talk() as conversation:
        assert await conversation.say(ADD, 1) == "protocol error : nonsense"
        await eventually(task.done, "over")
        assert await conversation.is_ended()
    assert hearer.conversations == 1


async def test_the_agent_may_come_late_and_go_and_come_again(tmp_path: Path) -> None:
    hearer = Hearer()
    async with listening(tmp_path, hearer):
        for times in (1, 2):
            raw = RawAgent(tmp_path / "z.sock")
            async with raw.talk() as conversation:
                assert await conversation.say(SNAPSHOT) == ""
                raw.close()
                (tmp_path / "z.sock").unlink()
            await eventually(lambda: hearer.conversations == times, "noticed")  # noqa: B023


async def test_an_agent_that_only_hangs_up_is_not_asked_without_end(agent: RawAgent, tmp_path: Path) -> None:
    hearer = Hearer()
    async with listening(tmp_path, hearer):
        for _ in range(3):
            async with agent.talk(greeted=False):
                pass
        await eventually(lambda: hearer.conversations >= 3, "noticed")


async def test_an_agent_that_always_hangs_up_in_the_middle_is_no_haste(
    agent: RawAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A message it takes an answer to, and gone: without a pause that was a thousand times a second, each told."""
    hearer = Hearer()
    client = AgentClient(tmp_path / "z.sock", hearer)
    async with listening(tmp_path, hearer, client):
        for _ in range(3):
            async with agent.talk() as conversation:
                assert await conversation.say(write_request(Keep("u"))) == ""
        await eventually(lambda: hearer.conversations >= 3, "noticed")
        assert client._pauses.connect >= 0.02 * 2**3
        async with agent.talk() as conversation:
            assert await conversation.say(SNAPSHOT) == ""
            await eventually(lambda: client._pauses == Pauses(), "all is well")
    assert caplog.text.count("it has ended the conversation") == 1


def test_pauses_double_up_to_a_limit() -> None:
    pauses = Pauses()
    waits = [pauses.after_connect() for _ in range(12)]
    assert waits[:4] == [0.02, 0.04, 0.08, 0.16]
    assert waits[-1] == LONGEST
    waits = [pauses.after_hello(0.5) for _ in range(14)]
    assert waits[:3] == [0.005, 0.01, 0.02]
    assert waits[-1] == LONGEST
    assert Pauses().after_hello(0.0) == pytest.approx(0.004)
    assert Pauses().after_hello(1.0) == pytest.approx(0.006)
