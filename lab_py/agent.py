"""The node agent's side of shared mode: announces pods to whoever serves them (hbone-controlplane 8).

    python -m lab_py.agent --socket /run/z.sock UID=NAMESPACE/NAME/ACCOUNT@NETNS ...

Each pod's network namespace is a path such as /run/netns/NAME. Further announcements come on standard input, one a
line: `add UID=...`, `del UID`; each is answered by `ok`, or by what the proxy says is wrong. With `--control PATH`
they come at a Unix socket there instead, from anybody who connects. A proxy that comes anew is told of all pods; the
newest one hears of new pods, all of them of those that are gone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hbone_py.aio.namespace import NetworkNamespace
from mesh_py.settings.kinds import WORKLOAD_INFO
from mesh_py.zds.messages import (
    Add,
    Delete,
    Keep,
    SnapshotSent,
    UnreadableMessage,
    is_hello,
    read_answer,
    write_request,
)
from mesh_py.zds.packets import PacketSocket

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Sequence

    from mesh_py.settings.kinds import WorkloadInfo
    from mesh_py.zds.messages import Request

DEADLINE = 5.0
"""Seconds a proxy has for its greeting, and for each answer."""

LOOK_SECONDS = 0.25
"""Between looks whether a proxy is still there, which says nothing by itself."""


class AgentError(Exception):
    """A proxy does not answer as it should; the text says how."""


@dataclass(frozen=True, slots=True)
class AnnouncedPod:
    """A pod as the agent knows it."""

    uid: str
    info: WorkloadInfo
    namespace: NetworkNamespace | None = None
    """None: lost. The pod is kept, but it cannot be added anywhere."""

    @staticmethod
    def parse(text: str) -> AnnouncedPod:
        """`UID=NAMESPACE/NAME/ACCOUNT@PATH`. Raises ValueError, OSError."""
        uid, separator, rest = text.partition("=")
        info, at, path = rest.rpartition("@")
        if not (uid and separator and info and at and path):
            raise ValueError(f"{text!r} is not UID=NAMESPACE/NAME/ACCOUNT@NETNS")
        return AnnouncedPod(uid, WORKLOAD_INFO.read(info), NetworkNamespace.open(Path(path)))


class Agent:
    """Pods of a node, and the proxies that serve them."""

    def __init__(self) -> None:
        self.pods: dict[str, AnnouncedPod] = {}
        self.problems: list[str] = []
        """What proxies said was wrong, the last at the end."""
        self.connections: list[AgentConnection] = []
        """The oldest first."""

    @contextlib.asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Accept proxies on a UNIX socket until the block ends; then their connections end, too."""
        with PacketSocket.listener(path) as listener:
            async with asyncio.TaskGroup() as group:
                accepting = group.create_task(self._accept(listener, group))
                try:
                    yield
                finally:
                    accepting.cancel()
                    for connection in list(self.connections):
                        connection.over.set()

    async def add(self, pod: AnnouncedPod) -> str:
        """Announce a pod to the newest proxy; returns what went wrong, or "". Raises AgentError without a proxy."""
        before = self.pods.get(pod.uid)
        self.pods[pod.uid] = pod
        if before is not None and before.namespace not in (None, pod.namespace):
            before.namespace.close()
        if not self.connections:
            raise AgentError("there is no proxy")
        return await self.connections[-1].announce(pod)

    async def delete(self, uid: str) -> str:
        """Tell all proxies that a pod is gone; returns what went wrong, or ""."""
        pod = self.pods.pop(uid, None)
        problems = [await connection.say(Delete(uid)) for connection in list(self.connections)]
        if pod is not None and pod.namespace is not None:
            pod.namespace.close()
        return "; ".join(filter(None, problems))

    async def _accept(self, listener: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listener)
            group.create_task(self._serve(AgentConnection(PacketSocket(sock))))

    async def _serve(self, connection: AgentConnection) -> None:
        """Greeting, snapshot; then whoever announces speaks, until the proxy is gone."""
        try:
            await connection.greeted()
            self.connections.append(connection)
            for pod in list(self.pods.values()):
                if pod.uid in self.pods and (problem := await connection.announce(pod)):
                    self.problems.append(problem)
            await connection.say(SnapshotSent())
            await connection.lasts()
        except (AgentError, OSError, UnreadableMessage) as error:
            self.problems.append(str(error))
        finally:
            if connection in self.connections:
                self.connections.remove(connection)
            connection.close()


class AgentConnection:
    """One proxy: told one thing at a time."""

    def __init__(self, sock: PacketSocket) -> None:
        self._sock = sock
        self._turn = asyncio.Lock()
        self.over = asyncio.Event()

    async def greeted(self) -> None:
        """Wait for the greeting. Raises AgentError, OSError, UnreadableMessage."""
        if not is_hello(await self._receive("greeting")):
            raise AgentError("a proxy greets us in a way we do not know")

    async def announce(self, pod: AnnouncedPod) -> str:
        """`add` with its namespace, or `keep` without; what is wrong, or nothing. Raises as `say`."""
        if pod.namespace is None:
            return await self.say(Keep(pod.uid))
        return await self.say(Add(pod.uid, pod.info), pod.namespace.fileno())

    async def say(self, request: Request, *descriptors: int) -> str:
        """Say something and wait for the answer: what is wrong, or nothing.

        Raises AgentError, OSError, UnreadableMessage; then the conversation is over.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._sock.send(write_request(request), descriptors)
                return read_answer(await self._receive(f"answer to {type(request).__name__}"))
            except BaseException:
                self.over.set()
                raise

    async def lasts(self) -> None:
        """Return once it is over."""
        while not self.over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.over.wait()
            async with self._turn:  # else the answer that somebody waits for would be looked at
                if self._sock.is_over():
                    self.over.set()

    def close(self) -> None:
        """End the conversation."""
        self.over.set()
        self._sock.close()

    async def _receive(self, what: str) -> bytes:
        try:
            async with asyncio.timeout(DEADLINE):
                packet = await self._sock.receive()
        except TimeoutError:
            raise AgentError(f"no {what} within {DEADLINE:g} s") from None
        if packet is None:
            raise AgentError(f"the proxy is gone, and gave no {what}")
        packet.close()
        return packet.data


async def serve(path: Path, pods: Sequence[AnnouncedPod], control: Path | None = None) -> None:
    """Announce pods, and obey standard input until it ends; or whoever connects to `control`, for ever."""
    agent = Agent()
    agent.pods = {pod.uid: pod for pod in pods}
    if control is not None:
        async with (
            agent.listening(path),
            await asyncio.start_unix_server(partial(_controlled, agent), control) as server,
        ):
            await server.serve_forever()
        return
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with agent.listening(path):
        while line := (await lines.readline()).decode().strip():
            print(await _obeyed(agent, line) or "ok", flush=True)  # noqa: T201 - the answer


async def _controlled(agent: Agent, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Obey one who has connected to the control socket."""
    with contextlib.suppress(OSError, ValueError):
        while line := (await reader.readline()).decode().strip():
            writer.write(f"{await _obeyed(agent, line) or 'ok'}\n".encode())
            await writer.drain()
    writer.close()


async def _obeyed(agent: Agent, line: str) -> str:
    command, _, rest = line.partition(" ")
    try:
        match command:
            case "add":
                return await agent.add(AnnouncedPod.parse(rest))
            case "del":
                return await agent.delete(rest)
            case _:
                return f"{command!r} is none of add, del"
    except (AgentError, OSError, UnreadableMessage, ValueError) as error:
        return str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's first lines."""
    parser = argparse.ArgumentParser(prog="python -m lab_py.agent", description="Announce pods to a node's proxy.")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen (the proxy's INPOD_UDS)")
    parser.add_argument("--control", type=Path, help="where to take commands, instead of standard input")
    parser.add_argument("pods", nargs="*", metavar="UID=NAMESPACE/NAME/ACCOUNT@NETNS")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(serve(options.socket, [AnnouncedPod.parse(text) for text in options.pods], options.control))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the complaint
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
