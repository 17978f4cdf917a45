"""The agent that tries shared mode: its command line, and how it speaks to proxies that come and go."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.namespace import OWN, NetworkNamespace
from lab_py.agent import Agent, AgentError, AnnouncedPod, main, serve
from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.zds.messages import Add, Delete, Keep, SnapshotSent, hello, read_request, write_answer
from mesh_py.zds.packets import PacketSocket
from tests.support.processes import eventually
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INFO = WorkloadInfo("default", "a", "account")


class Proxy:
    """Answers as the test wants."""

    def __init__(self, path: Path) -> None:
        self.sock = PacketSocket.connect(path)

    async def hears(self, answer: str = "") -> tuple[object, int]:
        """The next message and how many descriptors came with it, once it is answered."""
        packet = await self.sock.receive()
        assert packet is not None
        packet.close()
        await self.sock.send(write_answer(answer))
        return read_request(packet.data), len(packet.descriptors)


async def test_who_comes_is_told_of_all_pods(tmp_path: Path) -> None:
    agent = Agent()
    agent.pods = {"a": AnnouncedPod("a", INFO, NetworkNamespace.open()), "b": AnnouncedPod("b", INFO)}
    async with agent.listening(tmp_path / "z"):
        proxy = Proxy(tmp_path / "z")
        await proxy.sock.send(hello())
        assert await proxy.hears() == (Add("a", INFO), 1)
        assert await proxy.hears("no") == (Keep("b"), 0)
        assert await proxy.hears() == (SnapshotSent(), 0)
        assert agent.problems == ["no"]
        proxy.sock.close()
        await eventually(lambda: agent.connections == [], "noticed")
        with pytest.raises(AgentError, match="there is no proxy"):
            await agent.add(AnnouncedPod("c", INFO))
    agent.pods["a"].namespace.close()  # type: ignore[union-attr]  # it has one


async def test_who_does_not_greet_is_told_nothing(tmp_path: Path) -> None:
    agent = Agent()
    async with agent.listening(tmp_path / "z"):
        proxy = Proxy(tmp_path / "z")
        await proxy.sock.send(b"\x08\x07")
        assert await proxy.sock.receive() is None
        proxy.sock.close()
    assert agent.problems == ["a proxy greets us in a way we do not know"]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The agent at `z`, with one pod."""
    command = [sys.executable, "-W", "error", "-m", "lab_py.agent", "--socket", str(tmp_path / "z")]
    pod = f"a=default/a/account@{OWN}"
    with subprocess.Popen([*command, pod], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        yield one


async def test_its_command_line(program: subprocess.Popen[str], tmp_path: Path) -> None:
    assert program.stdin is not None
    assert program.stdout is not None
    await eventually((tmp_path / "z").is_socket, "listening")
    proxy = Proxy(tmp_path / "z")
    await proxy.sock.send(hello())
    assert [await proxy.hears(), await proxy.hears()] == [(Add("a", INFO), 1), (SnapshotSent(), 0)]
    program.stdin.write(f"del a\nadd b=default/a/account@{OWN}\nnonsense\n")
    program.stdin.flush()
    assert await proxy.hears() == (Delete("a"), 0)
    assert await proxy.hears("full") == (Add("b", INFO), 1)
    program.stdin.close()
    assert program.stdout.read().splitlines() == ["ok", "full", "'nonsense' is none of add, del"]
    proxy.sock.close()
    assert program.wait(10) == 0


async def test_it_is_told_of_pods_at_a_socket(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(tmp_path / "z", [], tmp_path / "control"))
        await eventually((tmp_path / "control").is_socket, "listening")
        proxy = Proxy(tmp_path / "z")
        await proxy.sock.send(hello())
        assert await proxy.hears() == (SnapshotSent(), 0)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "control")
        for line, heard in ((f"add b=default/a/account@{OWN}", (Add("b", INFO), 1)), ("del b", (Delete("b"), 0))):
            writer.write(f"{line}\n".encode())
            assert await proxy.hears() == heard
            assert await reader.readline() == b"ok\n"
        writer.close()
        assert await reader.read() == b""
        proxy.sock.close()
        serving.cancel()


@pytest.mark.parametrize("pod", ["a", "a=b", "a=b/c/d", "a=b@/x", "=b/c/d@/x", "a=b/c/d@/nowhere"])
def test_what_is_no_pod(pod: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--socket", str(tmp_path / "z"), pod]) == 2
    assert capsys.readouterr().err.startswith("error: ")
